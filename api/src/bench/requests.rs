//! Requests that open tickets, as a help desk would get them.

use docket_schemas::{Role, Tenant};

use crate::auth::{AUDIENCE, Claims, ISSUER_DEFAULT, SigningKey, SigningKeyError};
use crate::clock;

/// The tenant that the tickets belong to.
pub(super) const TENANT: &str = "bench";
/// Agents who open tickets for others.
const AGENTS: usize = 100;
/// How long a token is valid, in seconds.
const TOKEN_SECONDS: u64 = 24 * 3_600;
/// Of so many tickets each agent's every one has a priority.
const PRIORITY_EVERY: u64 = 4;

const SUBJECTS: [&str; 4] = [
    "The printer on floor three smokes when it prints two-sided",
    "Cannot sign in since the password was changed on Monday",
    "Invoice 20931 shows the old address of our branch office",
    "Export of last month's report stops at forty-two percent",
];
const BODIES: [&str; 4] = [
    "It started this morning. The first page comes out fine, then it pulls in the second sheet askew, makes a \
     grinding noise and smells burnt. I have switched it off. Could somebody look at it before noon?",
    "The sign-in page takes the new password, shows an empty page for a moment and then asks again. The same happens \
     on my phone and in a private window. A colleague of mine who changed hers has no such trouble at all.",
    "We moved in March and told you then. The delivery notes have the new address, only invoices still have the old \
     one, and our accounting department sends them back. Please correct it and send us 20931 once more.",
    "I start it from the reports page with all columns. The bar runs to forty-two percent within a minute and then \
     nothing moves any more. I have waited for an hour twice. With fewer columns it comes to its end.",
];

/// Everything that can be made ahead: the outside ids of persons, and a head for every caller.
pub(super) struct Requests {
    persons: Vec<String>,
    customers: Vec<String>,
    agents: Vec<String>,
}

impl Requests {
    /// Requests by and for so many persons, with tokens of `key`.
    pub(super) fn new(
        key: &SigningKey,
        tenant: &Tenant,
        persons: usize,
    ) -> Result<Self, SigningKeyError> {
        let heads = |role, names: &[String]| {
            names.iter().map(|name| head(key, tenant, role, name)).collect::<Result<Vec<_>, _>>()
        };
        let agents: Vec<_> = (0..AGENTS).map(|number| format!("agent-{number}")).collect();
        let persons: Vec<_> =
            (0..persons).map(|number| format!("customer-{number}@example.com")).collect();
        let customers = heads(Role::Customer, &persons)?;
        Ok(Self { agents: heads(Role::Agent, &agents)?, customers, persons })
    }

    /// Who asks for tickets.
    pub(super) fn persons(&self) -> &[String] {
        &self.persons
    }

    /// A text of so many characters, at most those of a body.
    pub(super) fn text(characters: usize) -> &'static str {
        BODIES[0].get(..characters).unwrap_or(BODIES[0])
    }

    /// Writes into `request` that a person opens a ticket for themselves.
    pub(super) fn open_own(&self, person: usize, request: &mut Vec<u8>) {
        use std::io::Write as _;
        let json = format!(r#"{{"subject":"{}","body":"{}"}}"#, SUBJECTS[0], BODIES[0]);
        let (head, length) = (&self.customers[person], json.len());
        request.clear();
        write!(request, "{head}content-length: {length}\r\n\r\n{json}").expect("a vector grows");
    }

    /// Writes request `number` into `request`. Persons take turns, in an order that is not their own; of each two
    /// requests one is the customer's and one an agent's.
    pub(super) fn write(&self, number: u64, request: &mut Vec<u8>) {
        use std::io::Write as _;
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let person = index(number, self.persons.len());
        let (subject, body) = (SUBJECTS[index(mixed, 4)], BODIES[index(mixed >> 2, 4)]);
        request.clear();
        let head = if mixed & 16 == 0 {
            &self.customers[person]
        } else {
            &self.agents[index(mixed >> 5, self.agents.len())]
        };
        let mut json = [0; JSON_BYTES_MAX];
        let mut rest = &mut json[..];
        let written = if mixed & 16 == 0 {
            write!(rest, r#"{{"subject":"{subject}","body":"{body}"}}"#)
        } else {
            let id = &self.persons[person];
            let priority =
                if mixed.is_multiple_of(PRIORITY_EVERY) { r#","priority":"high""# } else { "" };
            write!(
                rest,
                r#"{{"subject":"{subject}","body":"{body}","requester":{{"id":"{id}"}}{priority}}}"#
            )
        };
        written.expect("room for the longest of these texts");
        let length = JSON_BYTES_MAX - rest.len();
        write!(request, "{head}content-length: {length}\r\n\r\n").expect("a vector grows");
        request.extend_from_slice(&json[..length]);
    }
}

/// More than any of the texts above takes.
const JSON_BYTES_MAX: usize = 1_024;

fn index(number: u64, count: usize) -> usize {
    usize::try_from(number % count as u64).expect("less than a count of things in memory")
}

/// A token that outlives every measurement.
pub(super) fn token(
    key: &SigningKey,
    tenant: &Tenant,
    role: Role,
    subject: &str,
) -> Result<String, SigningKeyError> {
    let now = u64::try_from(clock::now().seconds()).unwrap_or_default();
    key.sign(&Claims {
        iss: ISSUER_DEFAULT,
        aud: AUDIENCE,
        sub: subject,
        exp: now + TOKEN_SECONDS,
        tenant,
        role,
        device: "bench",
    })
}

fn head(
    key: &SigningKey,
    tenant: &Tenant,
    role: Role,
    subject: &str,
) -> Result<String, SigningKeyError> {
    let token = token(key, tenant, role, subject)?;
    Ok(format!(
        "POST /v1/tickets HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\n"
    ))
}
