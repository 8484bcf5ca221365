// SPDX-License-Identifier: GPL-2.0
//! mq from Rust.
//!
//!     example produce TOPIC KEY NAME=VALUE TEXT    one message with a key and a header
//!     example follow TOPIC                         what is written from now on
//!     example replay TOPIC                         the last minute
//!     example ship TOPIC HOST PORT                 all of it, as it comes, over TCP
mod produce;

use std::fs::File;
use std::io::{self, Error, Read, Write};
use std::net::TcpStream;
use std::os::unix::io::AsRawFd;

extern "C" {
    // The C library's, which std links; io::copy does not use it for a device.
    fn sendfile(to: i32, from: i32, offset: Option<&mut i64>, count: usize) -> isize;
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
    loop {
        match unsafe { sendfile(to.as_raw_fd(), from.as_raw_fd(), None, 1 << 20) } {
            0 => return Ok(()), // the end of +until=end
            -1 => return Err(Error::last_os_error()),
            _ => {}
        }
    }
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["produce", topic, key, header, text] => produce::produce(topic, key, header, text),
        ["follow", topic] => print(&format!("{topic}+from=newest")),
        ["replay", topic] => print(&format!("{topic}+since=1m+until=end")),
        ["ship", topic, host, port] => ship(topic, host, port),
        _ => {
            eprintln!("usage: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT");
            std::process::exit(2);
        }
    }
}
