//! The cast: ten made-up people.

use docket_schemas::Role;

/// Somebody in the demo.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    pub(super) role: Role,
}

/// The customer whose token the demo prints.
pub const CUSTOMER: &str = "mia";
/// The agent whose token the demo prints.
pub const AGENT: &str = "ann";
/// The admin whose token the demo prints.
pub const ADMIN: &str = "root";
/// The auditor whose token the demo prints.
pub const AUDITOR: &str = "vera";

const PEOPLE: [Person; 10] = [
    Person { id: "mia", name: "Mia Berg", email: "mia@example.com", role: Role::Customer },
    Person { id: "omar", name: "Omar Haddad", email: "omar@example.com", role: Role::Customer },
    Person { id: "wei", name: "王伟", email: "wei@example.cn", role: Role::Customer },
    Person { id: "xiu", name: "李秀英", email: "xiu@example.cn", role: Role::Customer },
    Person { id: "jo", name: "Jo Park", email: "jo@example.org", role: Role::Customer },
    Person { id: "lena", name: "Lena Fuchs", email: "lena@example.org", role: Role::Customer },
    Person { id: "ann", name: "Ann Doyle", email: "ann@docket.example", role: Role::Agent },
    Person { id: "ben", name: "Ben Okafor", email: "ben@docket.example", role: Role::Agent },
    Person { id: "chen", name: "陈静", email: "chen@docket.example", role: Role::Agent },
    Person { id: "root", name: "Ruth Otero", email: "ruth@docket.example", role: Role::Admin },
];

/// The person with this id; the stories name no other.
pub(super) fn person_of(id: &str) -> &'static Person {
    PEOPLE.iter().find(|person| person.id == id).unwrap_or(&PEOPLE[0])
}
