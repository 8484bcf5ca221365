// SPDX-License-Identifier: GPL-2.0
//! A message with a key and a header: a batch of one record.
use std::{fs, io};

// These and the formats: mq/mq.h
const KEY: u16 = 1;
const HEADER: u16 = 2;
const HEADER_NAME: u16 = 1;
const HEADER_VALUE: u16 = 2;
const ANY_PARTITION: u32 = u32::MAX; // the key chooses it

fn pad(mut data: Vec<u8>, unit: usize) -> Vec<u8> {
    data.resize((data.len() + unit - 1) / unit * unit, 0);
    data
}

fn attr(kind: u16, data: &[u8]) -> Vec<u8> {
    let head = [4 + data.len() as u16, kind].map(u16::to_ne_bytes);
    pad([&head.concat(), data].concat(), 4)
}

pub fn produce(topic: &str, key: &str, header: &str, text: &str) -> io::Result<()> {
    let (name, value) = header.split_once('=').unwrap_or((header, ""));
    let nest = [
        attr(HEADER_NAME, name.as_bytes()),
        attr(HEADER_VALUE, value.as_bytes()),
    ];
    let attrs = [attr(KEY, key.as_bytes()), attr(HEADER, &nest.concat())].concat();
    let payload = format!("{text}\n").into_bytes();
    let (attrs_len, len) = (attrs.len() as u32, payload.len() as u32);
    let head = [64, 16, 1, ANY_PARTITION, 0, 0].map(u32::to_ne_bytes);
    let any_topic_id = vec![0; 16];
    let lens = [16, attrs_len.into(), len.into()].map(u64::to_ne_bytes);
    let record = [len, attrs_len, 0, 0].map(u32::to_ne_bytes);
    let batch = [
        head.concat(),
        any_topic_id,
        lens.concat(),
        record.concat(),
        pad(attrs, 8),
        payload,
    ];
    fs::write(format!("/dev/mq/{topic}+format=record"), batch.concat())
}
