//! Sinks: the places that a log is written to.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Draft, Head};

/// Appends records to a chain of its own. One for a file comes with this crate, and for standard
/// error, memory and `tracing`. A pair of sinks is one too: each has its chain, and a record is on
/// both or was not recorded.
pub trait Sink: Send + 'static {
    /// Appends one record, as a whole or not at all. [`Draft::line`] makes the line of it, given
    /// where the chain stands; [`Chain`] does both for a log that nobody else writes to.
    ///
    /// # Errors
    ///
    /// Any, if it could not be appended. Then what was to be recorded is not done, and the run
    /// ends.
    fn append(&mut self, draft: &Draft<'_>) -> io::Result<()>;

    /// Returns whether appending may have to wait: for a disk, for a reader. Then a run does not
    /// wait on its own thread.
    fn may_block(&self) -> bool {
        true
    }

    /// Returns the files that it writes to, by absolute paths. A sandbox refuses a log in a
    /// directory that its scripts may write to.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
        self.0.append(draft)?;
        self.1.append(draft)
    }

    fn may_block(&self) -> bool {
        self.0.may_block() || self.1.may_block()
    }

    fn files(&self) -> Vec<PathBuf> {
        [self.0.files(), self.1.files()].concat()
    }
}

/// A chain that one sink alone adds to.
#[derive(Debug, Clone, Default)]
pub struct Chain(Head);

impl Chain {
    /// Writes the line of the next record by `write`, and moves on if that succeeds.
    ///
    /// # Errors
    ///
    /// Those of `write`. The chain stays where it was: what was written of the line must not stay.
    pub fn append(
        &mut self,
        draft: &Draft<'_>,
        write: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        let (line, next) = draft.line(&self.0)?;
        write(&line)?;
        self.0 = next;
        Ok(())
    }
}

/// A log that is kept in memory. Clones share it; it grows without bound.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<(String, Chain)>>);

impl Memory {
    /// Returns all lines so far.
    pub fn text(&self) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.0.clone()
    }

    /// Returns all records so far, one object each.
    pub fn records(&self) -> Vec<serde_json::Value> {
        self.text()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Sink for Memory {
    fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, chain) = &mut *log;
        chain.append(draft, |line| {
            text.push_str(line);
            Ok(())
        })
    }

    fn may_block(&self) -> bool {
        false
    }
}

/// A log on standard error. It is not durable.
#[derive(Debug, Clone, Default)]
pub struct StderrSink(Chain);

impl Sink for StderrSink {
    fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
        self.0
            .append(draft, |line| io::stderr().lock().write_all(line.as_bytes()))
    }
}

/// A log as `tracing` events of level INFO and target `wardian::audit`, one for each record, the
/// line in the field `record`. What a subscriber does with it is not known, so it is not durable:
/// pair it with a sink that is.
#[derive(Debug, Clone, Default)]
pub struct TracingSink(Chain);

impl Sink for TracingSink {
    fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
        self.0.append(draft, |line| {
            tracing::info!(target: "wardian::audit", record = line.trim_end());
            Ok(())
        })
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
    struct Listening(Arc<Mutex<String>>);

    struct Hearing(Arc<Mutex<String>>);

    impl Visit for Hearing {
        fn record_str(&mut self, field: &Field, value: &str) {
            assert_eq!(field.name(), "record");
            self.0.lock().unwrap().push_str(&format!("{value}\n"));
        }

        fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    }

    impl Subscriber for Listening {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "wardian::audit" && *metadata.level() == tracing::Level::INFO
        }

        fn event(&self, event: &TracingEvent<'_>) {
            event.record(&mut Hearing(self.0.clone()));
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
        let (heard, memory) = (Arc::<Mutex<String>>::default(), Memory::default());
        let log = Log::new((memory.clone(), TracingSink::default()));
        tracing::subscriber::with_default(Listening(heard.clone()), || {
            for violations in 0..3 {
                let entry = Entry {
                    run: "r",
                    session: None,
                    agent: "a",
                    event: Event::Rejected { violations },
                    data: Data::default(),
                };
                log.record(&entry).unwrap();
            }
        });
        let heard = heard.lock().unwrap();
        assert_eq!(*heard, memory.text());
        assert_eq!(verify(heard.as_bytes()).unwrap().records, 3);
    }

    /// Fails once, at its second record.
    struct FailingOnce(Chain, u32);

    impl Sink for FailingOnce {
        fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
            self.1 += 1;
            let fails = self.1 == 2;
            self.0.append(draft, |_| {
                if fails {
                    Err(io::Error::other("once"))
                } else {
                    Ok(())
                }
            })
        }
    }

    /// REVIEW A 19.
    #[test]
    fn a_19_a_pair_is_as_sound_as_its_parts() {
        let (first, last) = (Memory::default(), Memory::default());
        let failing = FailingOnce(Chain::default(), 0);
        let log = Log::new(((first.clone(), failing), last.clone()));
        let entry = Entry {
            run: "r",
            session: None,
            agent: "a",
            event: Event::Rejected { violations: 1 },
            data: Data::default(),
        };
        let recorded = [(); 3].map(|()| log.record(&entry).is_ok());
        assert_eq!(recorded, [true, false, true]);
        assert_eq!(verify(first.text().as_bytes()).unwrap().records, 3);
        assert_eq!(verify(last.text().as_bytes()).unwrap().records, 2);
    }
}
