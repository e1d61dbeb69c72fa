//! The policy: one function says who may do what, for every door.

use docket_schemas::{Role, Status};

/// The version of roles, resolver and limits that events of this release carry.
pub const POLICY_VERSION: u32 = 1;

/// What somebody wants to do with a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open a ticket for oneself with subject, body and type alone.
    OpenOwn,
    /// Open a ticket in a person's name, or with more fields.
    OpenForAnybody,
    /// Read ticket, messages, the past.
    Read,
    /// Read its history.
    ReadHistory,
    /// Say something that the customer sees.
    AddPublicMessage,
    /// Write a note that the customer does not see.
    AddInternalNote,
    /// Write a status.
    SetStatus(Status),
    /// Settle a standing conflict that holds `closed`.
    SettleClosed,
    /// Write any other field, tags or followers.
    ChangeFields,
    /// Take, hand on or let go of a free ticket or one's own.
    Claim,
    /// Take or let go of another's.
    TakeOver,
    /// Merge tickets, and take merged ones apart.
    Merge,
    /// Read the tenant's event feed.
    ReadFeed,
    /// Find tickets: in lists and counts, by words, by their ids elsewhere.
    LookUp,
    /// Look at how the projections do.
    ReadProjections,
}

/// How a caller stands to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Its requester or a follower.
    Own,
    /// Anybody else.
    Other,
}

/// What the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Allow,
    /// It may be seen, not done: 403.
    Forbid,
    /// It does not exist for this caller: 404.
    Hide,
}

/// Whether a role may do something with a ticket that it stands to like this.
#[must_use]
pub const fn may(role: Role, relation: Relation, action: Action) -> Verdict {
    let allowed = match role {
        Role::Customer => return customer(relation, action),
        Role::Admin => !matches!(action, Action::SetStatus(Status::New)),
        Role::Agent => !matches!(
            action,
            Action::SetStatus(Status::New | Status::Closed)
                | Action::TakeOver
                | Action::ReadProjections
        ),
        Role::Bot => !matches!(
            action,
            Action::SetStatus(Status::New | Status::Closed)
                | Action::SettleClosed
                | Action::Claim
                | Action::TakeOver
                | Action::Merge
                | Action::ReadProjections
        ),
        Role::Auditor => matches!(
            action,
            Action::Read
                | Action::ReadHistory
                | Action::ReadFeed
                | Action::LookUp
                | Action::ReadProjections
        ),
        Role::Integrator => matches!(action, Action::ReadFeed),
    };
    if allowed { Verdict::Allow } else { Verdict::Forbid }
}

const fn customer(relation: Relation, action: Action) -> Verdict {
    match action {
        Action::OpenOwn | Action::LookUp => return Verdict::Allow,
        Action::OpenForAnybody | Action::ReadFeed | Action::ReadProjections => {
            return Verdict::Forbid;
        }
        _ => {}
    }
    if matches!(relation, Relation::Other) {
        return Verdict::Hide;
    }
    match action {
        Action::Read
        | Action::ReadHistory
        | Action::AddPublicMessage
        | Action::SetStatus(Status::Open | Status::Solved) => Verdict::Allow,
        _ => Verdict::Forbid,
    }
}

/// Which part of a ticket somebody gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// All of it.
    Staff,
    /// The public part.
    Customer,
}

impl Audience {
    /// The part that a role gets.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        match role {
            Role::Customer => Self::Customer,
            _ => Self::Staff,
        }
    }

    /// A status as this audience sees it: `hold` is `open` for customers.
    #[must_use]
    pub const fn status(self, status: Status) -> Status {
        match (self, status) {
            (Self::Customer, Status::Hold) => Status::Open,
            (_, status) => status,
        }
    }
}

/// What somebody wants to do with a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SagaAction {
    /// Look at it.
    Read,
    /// Have it undone.
    Cancel,
    /// Have it try again or go on without a step; pause and resume definitions.
    Operate,
}

/// Whether a role may do something with a saga that it started itself, or that somebody else did.
#[must_use]
pub const fn may_with_saga(role: Role, is_own: bool, action: SagaAction) -> Verdict {
    let allowed = match role {
        Role::Admin => true,
        Role::Agent | Role::Bot => is_own && !matches!(action, SagaAction::Operate),
        Role::Auditor => matches!(action, SagaAction::Read),
        Role::Customer | Role::Integrator => false,
    };
    if allowed { Verdict::Allow } else { Verdict::Forbid }
}
