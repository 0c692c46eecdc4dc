//! A web server for one payload: it answers with a word, or with a redirect.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    location: Arc<Mutex<Option<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (location, stop) = (Arc::default(), Arc::<AtomicBool>::default());
        let thread = thread::spawn({
            let (location, stop) = (Arc::clone(&location), stop.clone());
            move || {
                for connection in listener.incoming() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // A client that is gone has its answer.
                    let _ = connection.and_then(|connection| answer(connection, &location));
                }
            }
        });
        Ok(Self {
            address,
            location,
            stop,
            thread: Some(thread),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// From here on, it redirects to this.
    pub(crate) fn redirect(&self, to: String) {
        *self.location.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    }
}

fn answer(mut connection: TcpStream, location: &Mutex<Option<String>>) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut request = [0; 4096];
    // One read is a whole request of ours.
    let _ = connection.read(&mut request)?;
    let location = location
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let head = match location {
        Some(to) => format!("302 Found\r\nLocation: {to}"),
        None => "200 OK".to_owned(),
    };
    write!(
        connection,
        "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    )
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // So that it looks.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
