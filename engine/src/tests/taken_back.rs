//! Taking a command back: on the ticket as it is when that is written, not as it was when it was planned.

use std::sync::Arc;

use docket_schemas::saga::payload::StepSucceeded;
use docket_schemas::{
    Changed, CommandId, Priority, Role, SagaEvent, SagaPayload, Status, Stream, TicketId,
    derivation,
};

use crate::command::{
    Caller, Command, FieldChange, Intent, PlainRow, Refusal, SagaUnit, Source, TAGS_MAX,
};
use crate::desk::{AsOf, Desk, Joined};
use crate::ports::log::Expected;
use crate::testing::Office;
use crate::ticket::{Resolved, TakeBack};

/// A ticket that a job has changed, and two nodes.
struct Job {
    office: Office,
    desk: Desk,
    other: Desk,
    ticket: TicketId,
    agent: Caller,
    start: CommandId,
    written: Changed,
}

impl Job {
    /// A ticket with these tags, changed as `written` says.
    async fn done(tags: &[&str], written: Changed) -> Self {
        Box::pin(Self::of(Office::new().await, tags, written)).await
    }

    async fn of(office: Office, tags: &[&str], written: Changed) -> Self {
        Box::pin(Self::after(office, tags, &[], written)).await
    }

    /// A ticket to which these were written, and then the job's change.
    async fn after(
        office: Office,
        tags: &[&str],
        earlier: &[(Role, Command)],
        written: Changed,
    ) -> Self {
        let (desk, other) = (office.desk().await, office.desk().await);
        let mut opening = office.opening().await;
        opening.opened.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        let ticket = desk.open(opening).await.unwrap().ticket.id;
        // Which therefore has it in memory as it was then.
        other.look(&office.tenant, ticket, |_| ()).await.unwrap().unwrap();
        let (agent, start) = (office.caller(Role::Agent, "ann").await, office.command());
        let job = Self { office, desk, other, ticket, agent, start, written };
        for (role, command) in earlier {
            job.has(*role, command.clone()).await;
        }
        let change = Command::fields(FieldChange::from(&job.written));
        let intent = job.office.intent(&job.agent, ticket, change).await;
        let intent = Intent { command_id: job.command("run"), ..intent };
        job.desk.execute(intent).await.unwrap();
        job
    }

    fn command(&self, way: &str) -> CommandId {
        derivation::saga_effect(self.start, way)
    }

    /// The unit that takes the change back, as planned now.
    async fn plan(&self) -> SagaUnit {
        let run = self.command("run");
        let events = self.office.events(self.ticket).await;
        let stored = events.iter().find(|event| event.command_id == run).unwrap();
        let at = AsOf::Position(stored.position - 1);
        let past = self.desk.as_of(&self.office.tenant, self.ticket, &at).await.unwrap();
        let take_back = TakeBack::new(&mut past.unwrap(), run, &self.written).unwrap();
        let command = Command::TakeBack(Box::new(take_back));
        let intent = self.office.intent(&self.agent, self.ticket, command).await;
        let (command_id, source) = (self.command("undo"), Source::Undo(self.start));
        let intent = Intent { command_id, source, request_mac: None, ..intent };
        let undone = StepSucceeded { start: None, step: "a".into(), output: 1.into(), end: None };
        let row = PlainRow {
            caller: self.agent.clone(),
            stream: Stream::saga(derivation::saga_of(self.start)),
            expected: Expected::Last(0),
            command_id: derivation::saga_row(self.start, 1, SagaEvent::StepUndone),
            request_mac: None,
            payload: SagaPayload::StepUndone(undone),
            slots: Vec::new(),
            occurred_at: docket_schemas::Timestamp::from_micros(1),
            correlation_id: Some(self.start),
            causation_id: None,
        };
        let conclude = move |verdicts: &[Result<(), Refusal>]| {
            verdicts.iter().cloned().collect::<Result<(), Refusal>>().map(|()| row.clone())
        };
        SagaUnit {
            tenant: self.office.tenant.clone(),
            intents: vec![Arc::new(intent)],
            write: None,
            conclude: Arc::new(conclude),
            divisible: false,
        }
    }

    async fn writes(&self, command: Command) {
        let intent = self.office.intent(&self.agent, self.ticket, command).await;
        self.other.execute(intent).await.unwrap();
    }

    /// Has the requester or one of the staff write something.
    async fn has(&self, role: Role, command: Command) -> Resolved {
        let name = if role == Role::Customer { "cus_1" } else { "bob" };
        let caller = self.office.caller(role, name).await;
        let intent = self.office.intent(&caller, self.ticket, command).await;
        self.desk.execute(intent).await.unwrap().ticket
    }

    /// Writes what was planned, and answers the ticket with the rows beside the saga's.
    async fn undo(&self, plan: SagaUnit) -> (Resolved, usize) {
        let joined = self.desk.step(plan).await.unwrap();
        let Joined::Done(placed) = joined else { panic!("{joined:?}") };
        let looks = |ticket: &mut crate::ticket::Ticket| ticket.resolve().unwrap();
        let shown = self.desk.look(&self.office.tenant, self.ticket, looks).await.unwrap();
        (shown.unwrap(), placed.len() - 1)
    }
}

/// A ticket to which these were written, and then a job's status.
async fn status_job(earlier: &[(Role, Command)], status: Status) -> Job {
    let written = Changed { status: Some(status), ..Changed::default() };
    Box::pin(Job::after(Office::new().await, &[], earlier, written)).await
}

fn solved() -> (Role, Command) {
    (Role::Agent, Command::status(Status::Solved))
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|&tag| tag.to_owned()).collect()
}

#[tokio::test]
async fn what_somebody_writes_while_an_undo_is_planned_stands() {
    let priority = Some(Priority::Urgent);
    let written = Changed { priority, status: Some(Status::Pending), ..Changed::default() };
    let job = Job::done(&[], written).await;
    let plan = job.plan().await;
    job.writes(Command::priority(Priority::High)).await;
    let (shown, rows) = job.undo(plan).await;
    assert_eq!((shown.priority, shown.status), (Priority::High, Status::New));
    assert_eq!((rows, shown.conflicts.len()), (1, 0));
}

#[tokio::test]
async fn where_all_was_written_since_an_undo_writes_nothing() {
    let written = Changed { priority: Some(Priority::Urgent), ..Changed::default() };
    let job = Job::done(&[], written).await;
    let plan = job.plan().await;
    job.writes(Command::priority(Priority::Urgent)).await;
    let (shown, rows) = job.undo(plan).await;
    assert_eq!((shown.priority, rows), (Priority::Urgent, 0));
}

#[tokio::test]
async fn a_node_that_has_not_seen_the_change_yet_takes_it_back_all_the_same() {
    let written = Changed { priority: Some(Priority::Urgent), ..Changed::default() };
    let mut job = Job::done(&[], written).await;
    let plan = job.plan().await;
    std::mem::swap(&mut job.desk, &mut job.other);
    let (shown, rows) = job.undo(plan).await;
    assert_eq!((shown.priority, rows), (Priority::Normal, 1));
}

#[tokio::test]
async fn who_takes_a_ticket_while_an_undo_is_planned_keeps_it() {
    let office = Office::new().await;
    let (bob, cid) = (office.person("bob").await.id, office.person("cid").await.id);
    let written = Changed { assignee_id: Some(Some(bob)), ..Changed::default() };
    let mut job = Box::pin(Job::of(office, &[], written)).await;
    let plan = job.plan().await;
    job.agent = job.office.caller(Role::Admin, "root").await;
    job.writes(Command::Claim(cid)).await;
    let (shown, rows) = job.undo(plan).await;
    assert_eq!((shown.assignee, rows), (Some(cid), 0));
}

#[tokio::test]
async fn a_tag_that_others_have_dealt_with_since_is_not_put_back() {
    let written = Changed { remove_tags: owned(&["old", "gone"]), ..Changed::default() };
    let job = Job::done(&["old", "gone", "kept"], written).await;
    job.writes(Command::tags(&["old"], &[])).await;
    job.writes(Command::tags(&[], &["old"])).await;
    let (shown, _) = job.undo(job.plan().await).await;
    assert_eq!(shown.tags, ["gone", "kept"]);
}

#[tokio::test]
async fn an_undo_is_not_held_to_limits_that_others_have_reached_since() {
    let names: Vec<String> = (0..TAGS_MAX).map(|number| format!("tag-{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (status, remove_tags) = (Some(Status::Pending), owned(&names[..1]));
    let job = Job::done(&names, Changed { status, remove_tags, ..Changed::default() }).await;
    job.writes(Command::tags(&["mine"], &[])).await;
    let (shown, _) = job.undo(job.plan().await).await;
    assert_eq!((shown.status, shown.tags.len()), (Status::New, TAGS_MAX + 1));
}

#[tokio::test]
async fn a_reply_to_what_a_job_reopened_is_not_taken_for_answered_by_its_undo() {
    for answered in [Status::Solved, Status::Pending] {
        let job = status_job(&[(Role::Agent, Command::status(answered))], Status::Open).await;
        let plan = job.plan().await;
        job.has(Role::Customer, Command::reply("It still smokes.")).await;
        let (shown, rows) = job.undo(plan).await;
        assert_eq!((shown.status, rows), (Status::Open, 1));
    }
}

#[tokio::test]
async fn a_reply_that_had_reopened_a_ticket_before_a_job_does_so_again_after_its_undo() {
    let reply = (Role::Customer, Command::reply("It still smokes."));
    let job = status_job(&[solved(), reply], Status::Pending).await;
    assert_eq!(job.undo(job.plan().await).await.0.status, Status::Open);
}

#[tokio::test]
async fn a_merge_that_brought_a_question_is_not_taken_for_answered_by_an_undo() {
    let job = status_job(&[solved()], Status::Open).await;
    let other = super::two::open(&job.office, &job.desk, "cus_2").await;
    job.office.merge(&job.desk, &job.agent, other, job.ticket).await.unwrap();
    assert_eq!(job.undo(job.plan().await).await.0.status, Status::Open);
}

#[tokio::test]
async fn what_was_answered_before_a_job_is_so_again_after_its_undo() {
    let reply = (Role::Customer, Command::reply("It still smokes."));
    let job = status_job(&[reply, solved()], Status::Open).await;
    job.has(Role::Agent, Command::reply("Have you tried water?")).await;
    let (shown, _) = job.undo(job.plan().await).await;
    assert_eq!((shown.status, shown.unseen_messages.len()), (Status::Solved, 0));
}

#[tokio::test]
async fn thanks_of_a_customer_who_solved_the_ticket_do_not_reopen_it_by_an_undo() {
    let by_themself = (Role::Customer, Command::status(Status::Solved));
    let job = status_job(&[by_themself], Status::Open).await;
    job.has(Role::Customer, Command::reply("Thanks!")).await;
    assert_eq!(job.undo(job.plan().await).await.0.status, Status::Solved);
}
