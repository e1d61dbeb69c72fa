//! Proofs of sagas as a whole: what is next over random definitions and outcomes, and the coordinator at work.

mod course;
mod crew;
mod crowded;
mod jobs;
mod last;
mod leading;
mod restored;
mod running;
mod shapes;
mod steady;
mod takeover;
