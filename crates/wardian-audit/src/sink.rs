//! Where a log is written to.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Head;

/// Takes the lines of a log. One for a file comes with this crate, and for standard error, memory
/// and `tracing`; a pair of sinks is one too, whose first decides where the chain stands.
pub trait Sink: Send + 'static {
    /// Where the chain stands, if not where this sink's log has left it: another process may have
    /// written too. Asked before every line; [`append`](Self::append) follows.
    ///
    /// # Errors
    ///
    /// Any, if that can't be found out. Then nothing is recorded, and what was to be is not done.
    fn head(&mut self) -> io::Result<Option<Head>> {
        Ok(None)
    }

    /// Adds one line, its end included, as a whole or not at all. `durable` asks that it outlives a
    /// loss of power.
    ///
    /// # Errors
    ///
    /// Any, if it could not be added. Then what was to be recorded is not done.
    fn append(&mut self, line: &str, durable: bool) -> io::Result<()>;

    /// Whether adding a line may have to wait: for a disk, for a reader. Then a run does not wait
    /// on its own thread.
    fn waits(&self) -> bool {
        true
    }
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    fn head(&mut self) -> io::Result<Option<Head>> {
        self.0.head()
    }

    fn append(&mut self, line: &str, durable: bool) -> io::Result<()> {
        self.0.append(line, durable)?;
        self.1.append(line, durable)
    }

    fn waits(&self) -> bool {
        self.0.waits() || self.1.waits()
    }
}

/// A log that is kept in memory. Clones share it; it grows without bound.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<String>>);

impl Memory {
    /// All lines so far.
    pub fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Sink for Memory {
    fn append(&mut self, line: &str, _durable: bool) -> io::Result<()> {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        Ok(())
    }

    fn waits(&self) -> bool {
        false
    }
}

/// A log on standard error. It is not durable.
#[derive(Debug, Clone, Copy, Default)]
pub struct StderrSink;

impl Sink for StderrSink {
    fn append(&mut self, line: &str, _durable: bool) -> io::Result<()> {
        io::stderr().lock().write_all(line.as_bytes())
    }
}

/// A log as `tracing` events of level INFO and target `wardian::audit`, one for each record, the
/// line in the field `record`. What a subscriber does with it is not known, so it is not durable:
/// pair it with a sink that is.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingSink;

impl Sink for TracingSink {
    fn append(&mut self, line: &str, _durable: bool) -> io::Result<()> {
        tracing::info!(target: "wardian::audit", record = line.trim_end());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event as TracingEvent, Metadata, Subscriber};

    use super::*;
    use crate::{Data, Entry, Event, Log, verify};

    /// Keeps the records that it is told of.
    struct Listening(Memory);

    impl Visit for Memory {
        fn record_str(&mut self, field: &Field, value: &str) {
            assert_eq!(field.name(), "record");
            self.append(&format!("{value}\n"), false).unwrap();
        }

        fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    }

    impl Subscriber for Listening {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "wardian::audit" && *metadata.level() == tracing::Level::INFO
        }

        fn event(&self, event: &TracingEvent<'_>) {
            event.record(&mut self.0.clone());
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_subscriber_hears_of_every_record() {
        let (heard, memory) = (Memory::default(), Memory::default());
        let log = Log::new((memory.clone(), TracingSink));
        tracing::subscriber::with_default(Listening(heard.clone()), || {
            for violations in 0..3 {
                let entry = Entry {
                    run: "r",
                    agent: "a",
                    event: Event::Rejected { violations },
                    data: Data::default(),
                };
                log.record(&entry).unwrap();
            }
        });
        assert_eq!(heard.text(), memory.text());
        assert_eq!(verify(heard.text().as_bytes()).unwrap().records, 3);
    }
}
