//! A server configuration in which every tenant is an account of its own, and sees of the others nothing at all.
//!
//! JetStream is enabled for the relay's account alone. A tenant's account imports, by full name, what it needs and
//! nothing else: to pull from its own two consumers, to ask about them, to acknowledge, to set them anew, and its own
//! live subjects. It can name no other consumer or stream, since no such subject leaves its account; what a consumer
//! shows is fixed by the relay, so that no filter, deliver subject or start of the tenant's choosing exists. Inboxes
//! are subjects of an account and so are not shared. On nats-server 2.9 accounts are the only wall that holds:
//! a filter that a server does not know is dropped in silence.

use std::fmt::Write as _;

use docket_schemas::Tenant;
use nkeys::{KeyPair, KeyPairType};

use crate::consumers::CONSUMERS;
use crate::subject;

/// A user's key.
pub struct UserKey {
    /// What the server's configuration names.
    pub public: String,
    /// What the user proves to hold; to be kept secret.
    pub seed: String,
}

impl UserKey {
    /// The key of these random bytes.
    ///
    /// # Errors
    /// When the bytes are no key.
    pub fn from_random(bytes: [u8; 32]) -> Result<Self, nkeys::error::Error> {
        Self::of(&KeyPair::new_from_raw(KeyPairType::User, bytes)?)
    }

    /// The key with this seed.
    ///
    /// # Errors
    /// When the text is no seed.
    pub fn from_seed(seed: &str) -> Result<Self, nkeys::error::Error> {
        Self::of(&KeyPair::from_seed(seed.trim())?)
    }

    fn of(pair: &KeyPair) -> Result<Self, nkeys::error::Error> {
        Ok(Self { public: pair.public_key(), seed: pair.seed()? })
    }
}

/// What a configuration is made of.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The region's name.
    pub region: String,
    /// The public key of the nodes' user.
    pub relay: String,
    /// Each tenant with the public key of its user.
    pub tenants: Vec<(Tenant, String)>,
    /// Where the server listens.
    pub listen: String,
    /// Where it keeps its streams.
    pub store: String,
}

impl Accounts {
    /// The configuration, for nats-server 2.9 and later.
    #[must_use]
    pub fn config(&self) -> String {
        let mut text = format!(
            "# Written by `docket nats-config`. Run it with: nats-server -c <this file>\n\
             listen: {}\n\
             jetstream {{\n    store_dir: {}\n}}\n\
             accounts {{\n",
            quoted(&self.listen),
            quoted(&self.store)
        );
        self.relay_account(&mut text);
        for (tenant, key) in &self.tenants {
            self.tenant_account(&mut text, tenant, key);
        }
        text.push_str("}\n");
        text
    }

    fn relay_account(&self, text: &mut String) {
        let (publish, subscribe) = self.relay_permissions();
        text.push_str("    docket_relay {\n        jetstream: enabled\n");
        user(text, &self.relay, &publish, &subscribe, Responses::Allowed);
        text.push_str("        exports: [\n");
        for (tenant, _) in &self.tenants {
            for service in self.services(tenant) {
                let (subject, answers) = (quoted(&service.exported), service.answers);
                let _ = writeln!(
                    text,
                    "            {{ service: {subject}, response_type: {answers}, accounts: [{}] }}",
                    account(tenant)
                );
            }
            let live = quoted(&subject::live_of(tenant));
            let _ =
                writeln!(text, "            {{ stream: {live}, accounts: [{}] }}", account(tenant));
        }
        text.push_str("        ]\n    }\n");
    }

    fn tenant_account(&self, text: &mut String, tenant: &Tenant, key: &str) {
        let services = self.services(tenant);
        let publish: Vec<String> = services.iter().map(|service| service.local.clone()).collect();
        let subscribe = vec!["_INBOX.>".to_owned(), subject::live_of(tenant)];
        let _ = writeln!(text, "    {} {{", account(tenant));
        user(text, key, &publish, &subscribe, Responses::Denied);
        text.push_str("        imports: [\n");
        for service in services {
            let (subject, local) = (quoted(&service.exported), quoted(&service.local));
            let _ = writeln!(
                text,
                "            {{ service: {{ account: docket_relay, subject: {subject} }}, to: {local} }}"
            );
        }
        let live = quoted(&subject::live_of(tenant));
        let _ = writeln!(
            text,
            "            {{ stream: {{ account: docket_relay, subject: {live} }} }}"
        );
        text.push_str("        ]\n    }\n");
    }

    /// What a tenant may ask of the relay's account, with the kind of its answers.
    fn services(&self, tenant: &Tenant) -> Vec<Service> {
        let stream = subject::stream(&self.region);
        let mut services = Vec::new();
        for which in CONSUMERS {
            let consumer = subject::consumer(tenant, which);
            services.extend([
                Service::of_jetstream(&format!("CONSUMER.MSG.NEXT.{stream}.{consumer}"), "Stream"),
                Service::of_jetstream(&format!("CONSUMER.INFO.{stream}.{consumer}"), "Singleton"),
                Service::plain(format!("$JS.ACK.{stream}.{consumer}.>")),
                Service::plain(format!("{}.{tenant}.{which}", subject::resets(&self.region))),
            ]);
        }
        services
    }

    /// What the nodes of a region publish and subscribe to, and nothing else: no stream can be deleted or purged.
    fn relay_permissions(&self) -> (Vec<String>, Vec<String>) {
        let region = &self.region;
        let (stream, cursor) = (subject::stream(region), subject::cursor_stream(region));
        let mut publish = vec![
            subject::events(region),
            subject::saved_cursor(region),
            "docket.live.v1.>".to_owned(),
            subject::wake(region),
            format!("{}.>", subject::whispers(region)),
        ];
        for stream in [&stream, &cursor] {
            for verb in ["INFO", "CREATE", "MSG.GET"] {
                publish.push(format!("$JS.API.STREAM.{verb}.{stream}"));
            }
        }
        for verb in ["INFO", "CREATE", "DELETE"] {
            publish.push(format!("$JS.API.CONSUMER.{verb}.{stream}.>"));
        }
        let subscribe = vec![
            "_INBOX.>".to_owned(),
            subject::wake(region),
            format!("{}.>", subject::whispers(region)),
            format!("{}.>", subject::resets(region)),
        ];
        (publish, subscribe)
    }
}

/// Before the JetStream requests of a tenant, in place of `$JS.API`. That one leads every account to the server's own
/// answer as well, which says first that there is no JetStream.
pub const TENANT_API_PREFIX: &str = "docket.js";

/// Something that an account may ask of another's.
struct Service {
    exported: String,
    /// As the asking account calls it.
    local: String,
    answers: &'static str,
}

impl Service {
    fn of_jetstream(request: &str, answers: &'static str) -> Self {
        let local = format!("{TENANT_API_PREFIX}.{request}");
        Self { exported: format!("$JS.API.{request}"), local, answers }
    }

    fn plain(subject: String) -> Self {
        Self { exported: subject.clone(), local: subject, answers: "Singleton" }
    }
}

/// Whether a user may answer what it was asked.
enum Responses {
    Allowed,
    Denied,
}

fn user(
    text: &mut String,
    key: &str,
    publish: &[String],
    subscribe: &[String],
    responses: Responses,
) {
    let list = |subjects: &[String]| {
        let quoted: Vec<String> = subjects.iter().map(|subject| quoted(subject)).collect();
        format!(
            "[\n                    {}\n                ]",
            quoted.join(",\n                    ")
        )
    };
    let answers = match responses {
        Responses::Allowed => "\n                allow_responses: true",
        Responses::Denied => "",
    };
    let _ = writeln!(
        text,
        "        users: [\n            {{ nkey: {key}, permissions {{\n                publish: {}\n                subscribe: {}{answers}\n            }} }}\n        ]",
        list(publish),
        list(subscribe),
    );
}

/// A tenant's account: no tenant is called like the relay's, which has an underscore elsewhere.
fn account(tenant: &Tenant) -> String {
    format!("tenant_{tenant}")
}

/// A text between quotes; what would end it early is taken out, since no subject or path of ours has it.
fn quoted(text: &str) -> String {
    let safe: String = text.chars().filter(|c| !matches!(c, '"' | '\\' | '\n' | '\r')).collect();
    format!("\"{safe}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let key = |byte: u8| UserKey::from_random([byte; 32]).unwrap().public;
        Accounts {
            region: "eu".to_owned(),
            relay: key(1),
            tenants: vec![("acme".parse().unwrap(), key(2)), ("acme-2".parse().unwrap(), key(3))],
            listen: "127.0.0.1:4222".to_owned(),
            store: "./jetstream".to_owned(),
        }
    }

    #[test]
    fn a_tenants_account_names_no_subject_of_another_and_no_wildcard_above_its_own() {
        let text = accounts().config();
        let own =
            text.split("    tenant_acme {").nth(1).unwrap().split("\n    }\n").next().unwrap();
        for line in own.lines().filter(|line| line.contains("docket") && line.contains('"')) {
            let subject = line.split('"').nth(1).unwrap();
            let tokens: Vec<&str> = subject.split('.').collect();
            let named = tokens.iter().any(|t| ["acme", "acme_feed", "acme_replay"].contains(t));
            assert!(named && !tokens.contains(&"*"), "{subject}");
        }
        assert!(!own.contains("acme-2"));
        assert!(!own.contains("jetstream"), "only the relay's account has JetStream");
    }

    #[test]
    fn a_key_is_found_again_by_its_seed() {
        let key = UserKey::from_random([7; 32]).unwrap();
        assert_eq!(UserKey::from_seed(&format!("{}\n", key.seed)).unwrap().public, key.public);
        assert!(key.public.starts_with('U') && key.seed.starts_with("SU"));
    }
}
