//! I/O: asks a running sidecar for its health, as kubelet does. For a health check that runs in the container:
//! the image has no other program.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::cli::Probe;

/// How long one step of the exchange may take; the answer is ready when it is asked for.
const STEP: Duration = Duration::from_secs(2);
/// How an answer that means yes begins.
const GOOD: &[u8] = b"HTTP/1.1 200 ";

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("no answer from {address}: {source}; is the sidecar running with --listen on that port?")]
    NoAnswer {
        /// Who was asked.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The sidecar says no, or knows no such path.
    #[error("{address} did not answer {path} with 200")]
    Refused {
        /// Who was asked.
        address: SocketAddr,
        /// What for.
        path: String,
    },
}

/// Asks once.
pub fn probe(options: Probe) -> Result<(), ProbeError> {
    let Probe { address, path } = options;
    match ask(address, &path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ProbeError::Refused { address, path }),
        Err(source) => Err(ProbeError::NoAnswer { address, source }),
    }
}

fn ask(address: SocketAddr, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, STEP)?;
    stream.set_read_timeout(Some(STEP))?;
    stream.set_write_timeout(Some(STEP))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut start = [0; GOOD.len()];
    stream.read_exact(&mut start)?;
    Ok(start == GOOD)
}
