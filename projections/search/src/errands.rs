//! Errands: what an operator asks of the process that has an index open, through the index's directory. No other process
//! can write the index meanwhile.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

/// The directory beside the indexes of a home.
const DIRECTORY: &str = "errands";

/// How often a process looks whether something is asked of it, and whoever asked looks what became of it.
pub const LOOKED_EVERY: Duration = Duration::from_millis(300);

/// An errand that no process has taken for so long is taken back.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(3);

/// A process that has taken an errand and said nothing for so long has ended.
pub const TOLD_WITHIN: Duration = Duration::from_secs(15);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Fill a new index beside the one that answers, and switch to it.
    Rebuild,
    /// Go back to the one before.
    RollBack,
    /// Compare the index with the log, and write anew what differs.
    Repair,
}

impl Errand {
    const ALL: [Self; 3] = [Self::Rebuild, Self::RollBack, Self::Repair];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::RollBack => "rollback",
            Self::Repair => "repair",
        }
    }
}

/// What became of an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; what there is to say of it.
    Done(String),
    /// It was not; why.
    Failed(String),
    /// Nobody has taken it.
    NotTaken,
}

/// The stages of an errand are names of its file, so that each begins in one step.
fn file(home: &Path, id: Uuid, stage: &str) -> PathBuf {
    home.join(DIRECTORY).join(format!("{id}.{stage}"))
}

/// Asks for an errand of the process that has the home open, and waits until it is done; `on_progress` is told how many
/// events of how many have been read.
///
/// # Errors
/// When the directory cannot be read or written.
pub async fn ask(
    home: &Path,
    errand: Errand,
    id: Uuid,
    on_progress: impl Fn(u64, u64) + Send,
) -> io::Result<Outcome> {
    fs::create_dir_all(home.join(DIRECTORY))?;
    let asked = file(home, id, "asked");
    write(&asked, errand.as_str())?;
    let (mut waited, mut told) = (Duration::ZERO, String::new());
    loop {
        sleep(LOOKED_EVERY).await;
        waited += LOOKED_EVERY;
        if let Some(ended) = read(&file(home, id, "ended"))? {
            remove(&file(home, id, "ended"))?;
            return Ok(match ended.split_once(' ') {
                Some(("done", what)) => Outcome::Done(what.to_owned()),
                _ => Outcome::Failed(ended.trim_start_matches("failed ").to_owned()),
            });
        }
        match read(&file(home, id, "taken"))? {
            Some(taken) if taken != told => {
                let mut numbers = taken.split(' ').filter_map(|number| number.parse().ok());
                if let (Some(events), Some(of)) = (numbers.next(), numbers.next()) {
                    on_progress(events, of);
                }
                (told, waited) = (taken, Duration::ZERO);
            }
            Some(_) => {}
            // Whoever removes the file has the say: a process that has renamed it has taken the errand.
            None if waited >= TAKEN_WITHIN && fs::remove_file(&asked).is_ok() => {
                return Ok(Outcome::NotTaken);
            }
            None => {}
        }
        if waited >= TOLD_WITHIN {
            return Ok(Outcome::Failed("the process that has the index open has ended".to_owned()));
        }
    }
}

/// An errand that a process has taken.
pub struct Taken {
    home: PathBuf,
    id: Uuid,
    /// What is asked.
    pub errand: Errand,
}

/// Ends what a process before this one had taken and not ended.
///
/// # Errors
/// When the directory cannot be written.
pub fn end_taken(home: &Path) -> io::Result<()> {
    for (id, path) in staged(home, "taken")? {
        write(&file(home, id, "ended"), "failed the process that had taken it has ended")?;
        remove(&path)?;
    }
    Ok(())
}

/// The next errand, if one is asked.
///
/// # Errors
/// When the directory cannot be read or written.
pub fn take(home: &Path) -> io::Result<Option<Taken>> {
    for (id, path) in staged(home, "asked")? {
        let Some(name) = read(&path)? else { continue };
        let known = Errand::ALL.into_iter().find(|errand| errand.as_str() == name);
        match known {
            Some(errand) if fs::rename(&path, file(home, id, "taken")).is_ok() => {
                return Ok(Some(Taken { home: home.to_owned(), id, errand }));
            }
            Some(_) => {}
            None => {
                write(&file(home, id, "ended"), "failed this release knows no such errand")?;
                remove(&path)?;
            }
        }
    }
    Ok(None)
}

impl Taken {
    /// Says that it is being done, and how far it has come; to be called every [`LOOKED_EVERY`], `turn` by turn.
    pub fn tell(&self, turn: u64, events: u64, of: u64) {
        let text = format!("{} {events} {of} {turn}", self.errand.as_str());
        let _ = write(&file(&self.home, self.id, "taken"), &text);
    }

    /// Says what became of it.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn end(self, outcome: Result<String, String>) -> io::Result<()> {
        let text = match outcome {
            Ok(what) => format!("done {what}"),
            Err(reason) => format!("failed {reason}"),
        };
        write(&file(&self.home, self.id, "ended"), &text)?;
        remove(&file(&self.home, self.id, "taken"))
    }
}

fn staged(home: &Path, stage: &str) -> io::Result<Vec<(Uuid, PathBuf)>> {
    let entries = match fs::read_dir(home.join(DIRECTORY)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let id = path.file_stem().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
        if let (Some(id), true) = (id, path.extension() == Some(OsStr::new(stage))) {
            found.push((id, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}

fn read(path: &Path) -> io::Result<Option<String>> {
    absent(fs::read_to_string(path))
}

fn remove(path: &Path) -> io::Result<()> {
    absent(fs::remove_file(path)).map(|_| ())
}

fn absent<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::folder::Folder;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[tokio::test(start_paused = true)]
    async fn an_errand_is_taken_told_of_and_ended() {
        let folder = Folder::new();
        let home = folder.path().to_owned();
        let seen = Arc::new(AtomicU64::new(0));
        let (noted, place) = (Arc::clone(&seen), home.clone());
        let asking = tokio::spawn(async move {
            ask(&place, Errand::Repair, id(1), |events, _| noted.store(events, Ordering::Relaxed))
                .await
        });
        tokio::time::sleep(LOOKED_EVERY / 2).await;
        let taken = take(&home).unwrap().expect("it is asked");
        assert_eq!(taken.errand, Errand::Repair);
        assert!(take(&home).unwrap().is_none(), "it is taken once");
        taken.tell(1, 7, 9);
        tokio::time::sleep(LOOKED_EVERY * 2).await;
        assert_eq!(seen.load(Ordering::Relaxed), 7);
        taken.end(Ok("3 tickets".to_owned())).unwrap();
        assert_eq!(asking.await.unwrap().unwrap(), Outcome::Done("3 tickets".to_owned()));
        assert_eq!(fs::read_dir(home.join(DIRECTORY)).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test(start_paused = true)]
    async fn an_errand_that_nobody_takes_or_ends_is_not_waited_for() {
        let folder = Folder::new();
        let home = folder.path().to_owned();
        let asked = ask(&home, Errand::Rebuild, id(1), |_, _| {}).await.unwrap();
        assert_eq!(asked, Outcome::NotTaken);
        assert!(take(&home).unwrap().is_none(), "it was taken back");
        let place = home.clone();
        let asking =
            tokio::spawn(async move { ask(&place, Errand::Rebuild, id(2), |_, _| {}).await });
        tokio::time::sleep(LOOKED_EVERY / 2).await;
        let abandoned = take(&home).unwrap().expect("it is asked");
        assert!(matches!(asking.await.unwrap().unwrap(), Outcome::Failed(_)));
        drop(abandoned);
        end_taken(&home).unwrap();
        assert!(staged(&home, "taken").unwrap().is_empty());
    }
}
