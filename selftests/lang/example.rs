// SPDX-License-Identifier: GPL-2.0
//! mq from Rust: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT
use std::fs::{self, File};
use std::io::{self, Error, Read, Write};
use std::{net::TcpStream, os::unix::io::AsRawFd};

extern "C" {
    // The C library's, which std links; io::copy does not use it for a device.
    fn sendfile(to: i32, from: i32, offset: Option<&mut i64>, count: usize) -> isize;
}

fn attr(kind: u16, data: &[u8]) -> Vec<u8> {
    let head = [4 + data.len() as u16, kind].map(u16::to_ne_bytes).concat();
    [&head, data, &vec![0; data.len().wrapping_neg() & 3]].concat()
}

/// One message with a key and a header: a batch of one record. The numbers are mq/mq.h's.
fn produce(topic: &str, key: &str, header: &str, text: &str) -> io::Result<()> {
    let (name, value) = header.split_once('=').unwrap_or((header, ""));
    let nest = [attr(1, name.as_bytes()), attr(2, value.as_bytes())].concat();
    let attrs = [attr(1, key.as_bytes()), attr(2, &nest)].concat();
    let (n, m) = (text.len() as u32 + 1, attrs.len() as u32);
    let head = [64, 16, 1, u32::MAX, 0, 0, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
    let lens = [16, m as u64, n as u64].map(u64::to_ne_bytes).concat();
    let record = [n, m, 0, 0].map(u32::to_ne_bytes).concat();
    let padding = vec![0; attrs.len().wrapping_neg() & 7];
    let batch = [head, lens, record, attrs, padding, text.into(), "\n".into()].concat();
    fs::write(format!("/dev/mq/{topic}+format=record"), batch)
}

fn print(topic: &str) -> io::Result<()> {
    let mut from = File::open(format!("/dev/mq/{topic}"))?;
    let mut message = vec![0; 1 << 20]; // the default limit: a read gets a whole one
    while let n @ 1.. = from.read(&mut message)? {
        io::stdout().write_all(&message[..n])?;
        io::stdout().flush()?;
    }
    Ok(())
}

fn ship(topic: &str, host: &str, port: &str) -> io::Result<()> {
    let from = File::open(format!("/dev/mq/{topic}"))?;
    let to = TcpStream::connect(format!("{host}:{port}"))?;
    while 0 < match unsafe { sendfile(to.as_raw_fd(), from.as_raw_fd(), None, 1 << 20) } {
        -1 => return Err(Error::last_os_error()),
        n => n,
    } {}
    Ok(())
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["produce", topic, key, header, text] => produce(topic, key, header, text),
        ["follow", topic] => print(&format!("{topic}+from=newest")),
        ["replay", topic] => print(&format!("{topic}+since=1m+until=end")),
        ["ship", topic, host, port] => ship(topic, host, port),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
