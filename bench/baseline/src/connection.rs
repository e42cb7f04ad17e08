//! The least HTTP/1.1 client that a load needs, so that the load itself costs little.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::Error;

/// One keep-alive connection; it understands only answers that state their length.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Result<Self, Error> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads the whole answer. Anything but a 2xx is an error: a load that is
    /// refused measures nothing.
    pub(crate) fn send(&mut self, request: &str) -> Result<(), Error> {
        self.stream.write_all(request.as_bytes())?;
        self.answer.clear();
        loop {
            let mut part = [0; 4096];
            let length = self.stream.read(&mut part)?;
            if length == 0 {
                return Err("the server closed a connection".into());
            }
            self.answer.extend_from_slice(&part[..length]);
            let Some(length) = whole_length(&self.answer)? else { continue };
            if self.answer.len() < length {
                continue;
            }
            return if self.answer.starts_with(b"HTTP/1.1 2") {
                Ok(())
            } else {
                Err(format!("refused: {}", String::from_utf8_lossy(&self.answer)).into())
            };
        }
    }
}

/// The length of an answer with its head; `None` while the head is incomplete.
fn whole_length(answer: &[u8]) -> Result<Option<usize>, Error> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(&answer[..end])?;
    let body = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or_else(|| format!("an answer without a length: {head}"))?
        .1;
    Ok(Some(end + 4 + body.trim().parse::<usize>()?))
}
