//! What an attacker would ask of JetStream and of Docket to get at another tenant's events.

use serde_json::{Value, json};

/// What `globex` alone may read.
const THEIRS: &str = "docket.v1.local.globex.>";

type Attack = (String, Value);

/// Requests by which one might get at another's events on nats-server 2.9.
pub(crate) fn attacks() -> Vec<Attack> {
    let mut attacks = [consumers(), streams()].concat();
    for verb in [
        "STREAM.NAMES",
        "STREAM.LIST",
        "INFO",
        "CONSUMER.NAMES.docket_local",
        "CONSUMER.LIST.docket_local",
    ] {
        attacks.push((verb.to_owned(), json!({})));
    }
    for consumer in ["globex_feed", "globex_replay", "*", ">"] {
        attacks.push((format!("CONSUMER.MSG.NEXT.docket_local.{consumer}"), json!({"batch": 10})));
        attacks.push((format!("CONSUMER.INFO.docket_local.{consumer}"), json!({})));
    }
    let prefixed = |prefix: &str| -> Vec<Attack> {
        attacks.iter().map(|(verb, body)| (format!("{prefix}.{verb}"), body.clone())).collect()
    };
    let mut attacks = [prefixed("$JS.API"), prefixed("docket.js")].concat();
    for which in ["feed", "replay"] {
        attacks.push((format!("docket.reset.v1.local.globex.{which}"), json!({"from": "start"})));
        attacks.push((format!("$JS.ACK.docket_local.globex_{which}.1.1.1.1.1"), json!("+NXT")));
    }
    for subject in [
        "$SYS.REQ.ACCOUNT.docket_relay.CONNZ",
        "$SYS.REQ.SERVER.PING.JSZ",
        "$SYS.REQ.ACCOUNT.PING.SUBSZ",
    ] {
        attacks.push((subject.to_owned(), json!({"subscriptions": true})));
    }
    attacks
}

/// Consumers that would show them, in every way in which one can be made.
fn consumers() -> Vec<Attack> {
    let config = |more: Value| {
        let mut config = json!({"ack_policy": "none", "deliver_policy": "all"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"stream_name": "docket_local", "config": config})
    };
    let theirs = THEIRS;
    vec![
        ("CONSUMER.CREATE.docket_local".to_owned(), config(json!({"filter_subject": theirs}))),
        ("CONSUMER.CREATE.docket_local".to_owned(), config(json!({}))),
        (
            "CONSUMER.DURABLE.CREATE.docket_local.mine".to_owned(),
            config(json!({"durable_name": "mine"})),
        ),
        (
            "CONSUMER.DURABLE.CREATE.docket_local.acme_feed".to_owned(),
            config(json!({"durable_name": "acme_feed", "filter_subject": theirs})),
        ),
        (
            format!("CONSUMER.CREATE.docket_local.mine.{theirs}"),
            config(json!({"name": "mine", "filter_subject": theirs})),
        ),
        (
            "CONSUMER.CREATE.docket_local.mine.docket.v1.local.acme.>".to_owned(),
            config(
                json!({"name": "mine", "filter_subject": "docket.v1.local.acme.>", "filter_subjects": ["docket.v1.local.acme.>", theirs]}),
            ),
        ),
        (
            "CONSUMER.CREATE.docket_local.acme_feed.docket.v1.local.acme.>".to_owned(),
            config(
                json!({"name": "acme_feed", "durable_name": "acme_feed", "filter_subject": "docket.v1.local.acme.>",
                "deliver_subject": "docket.live.v1.globex.ticket.x.opened"}),
            ),
        ),
        (
            "CONSUMER.CREATE.docket_local.mine".to_owned(),
            config(json!({"name": "mine", "filter_subjects": [theirs]})),
        ),
    ]
}

/// Reading past every consumer, copying the stream, or changing it.
fn streams() -> Vec<Attack> {
    let theirs = THEIRS;
    vec![
        ("STREAM.MSG.GET.docket_local".to_owned(), json!({"seq": 1})),
        ("STREAM.MSG.GET.docket_local".to_owned(), json!({"last_by_subj": theirs})),
        ("DIRECT.GET.docket_local".to_owned(), json!({"seq": 1})),
        (format!("DIRECT.GET.docket_local.{theirs}"), json!({})),
        ("DIRECT.GET.docket_local.docket.v1.local.globex.ticket.0.opened".to_owned(), json!({})),
        (
            "STREAM.CREATE.stolen".to_owned(),
            json!({"name": "stolen", "mirror": {"name": "docket_local"}}),
        ),
        (
            "STREAM.CREATE.stolen".to_owned(),
            json!({"name": "stolen", "sources": [{"name": "docket_local", "filter_subject": theirs}]}),
        ),
        (
            "STREAM.CREATE.stolen".to_owned(),
            json!({"name": "stolen", "mirror": {"name": "docket_local", "external": {"api": "$JS.docket.API", "deliver": "x"}}}),
        ),
        (
            "STREAM.UPDATE.docket_local".to_owned(),
            json!({"name": "docket_local", "subjects": ["docket.v1.local.>"],
                "republish": {"src": ">", "dest": "docket.live.v1.acme.>"}}),
        ),
        ("STREAM.INFO.docket_local".to_owned(), json!({"subjects_filter": ">"})),
        ("STREAM.SNAPSHOT.docket_local".to_owned(), json!({"deliver_subject": "_INBOX.x"})),
        ("STREAM.PURGE.docket_local".to_owned(), json!({})),
        ("STREAM.DELETE.docket_local".to_owned(), json!({})),
        ("STREAM.MSG.DELETE.docket_local".to_owned(), json!({"seq": 1})),
        ("CONSUMER.DELETE.docket_local.globex_feed".to_owned(), json!({})),
    ]
}
