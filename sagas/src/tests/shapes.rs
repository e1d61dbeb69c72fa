//! Random definitions: stages of steps of every kind, which nobody carries out.

use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::Value;

use crate::*;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

struct Never;

#[async_trait]
impl Local for Never {
    async fn plan(&self, _: &Scene) -> Result<Plan, StepError> {
        unreachable!("nothing is done here")
    }
}

#[async_trait]
impl Remote for Never {
    async fn call(&self, _: &Scene) -> Result<Value, StepError> {
        unreachable!("nothing is done here")
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Local,
    LocalWithUndo,
    Remote,
    RemoteWithUndo,
    Shown,
    Pause,
}

#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) stages: Vec<Vec<Kind>>,
    pub(super) pivot: Option<usize>,
}

pub(super) fn shapes() -> impl Strategy<Value = Shape> {
    let kind = prop_oneof![
        2 => Just(Kind::Local),
        4 => Just(Kind::LocalWithUndo),
        1 => Just(Kind::Remote),
        4 => Just(Kind::RemoteWithUndo),
        2 => Just(Kind::Shown),
        1 => Just(Kind::Pause),
    ];
    let stages = prop::collection::vec(prop::collection::vec(kind, 1..=3), 1..=4);
    (stages, prop::option::of(0..8_usize)).prop_map(|(mut stages, pivot)| {
        let mut left = NAMES.len();
        for stage in &mut stages {
            stage.truncate(left);
            left -= stage.len();
        }
        stages.retain(|stage| !stage.is_empty());
        Shape { stages, pivot }
    })
}

pub(super) fn definition(shape: &Shape) -> Definition {
    let mut names = NAMES.iter();
    let mut number = 0;
    let mut definition = Definition::new("random", 1);
    for stage in &shape.stages {
        let steps: Vec<Step> = stage
            .iter()
            .map(|kind| {
                let name = names.next().expect("as many names as steps");
                let step = match kind {
                    Kind::Local => Step::local(name, Never),
                    Kind::LocalWithUndo => Step::local(name, Never).undo(Never),
                    Kind::Remote => Step::remote(name, Never),
                    Kind::RemoteWithUndo => Step::remote(name, Never).undo_remote(Never),
                    Kind::Shown => Step::shown(name),
                    Kind::Pause => Step::new(name, Act::Pause(Duration::from_secs(3))),
                };
                let is_pivot = shape.pivot == Some(number) && step.has_undo();
                number += 1;
                Step { is_pivot, ..step }
            })
            .collect();
        definition = definition.all(steps);
    }
    definition.check().expect("a good definition");
    definition
}
