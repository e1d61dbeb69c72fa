//! What a socket, a stream and a poll are sent by those who mean no good, or are not what they should be.

use std::time::Duration;

use docket_tests::{EventStream, Node, Site, Socket, Token, on_both_backends};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_wrong_gets_an_error_and_the_socket_stays() {
    on_both_backends(async |site: &Site, node: &Node| {
        let mut socket = Socket::open(node.address(), &site.token("agent", "ann")).await;
        let ticket = "0192b0a0-0000-7000-8000-000000000001";
        let long = "x".repeat(300);
        let cases = [
            ("{", "malformed_json", Value::Null),
            ("[]", "invalid", Value::Null),
            ("{}", "invalid", Value::Null),
            (r#"{"op":1}"#, "invalid", Value::Null),
            (r#"{"op":"dance","id":"a"}"#, "invalid", json!("a")),
            (r#"{"op":"ping","op":"ping","id":"a"}"#, "malformed_json", Value::Null),
            (r#"{"op":"ping"}"#, "invalid", Value::Null),
            (r#"{"op":"ping","id":""}"#, "invalid", json!("")),
            (r#"{"op":"ping","id":"a","x":1}"#, "invalid", json!("a")),
            (r#"{"op":"subscribe","id":"a"}"#, "invalid", json!("a")),
            (r#"{"op":"subscribe","id":"a","tickets":[]}"#, "invalid", json!("a")),
            (r#"{"op":"subscribe","id":"a","tickets":["no"]}"#, "invalid", json!("a")),
            (
                r#"{"op":"subscribe","id":"a","all":true,"after":"no"}"#,
                "cursor_malformed",
                json!("a"),
            ),
            (r#"{"op":"unsubscribe","id":"none"}"#, "not_found", json!("none")),
            (r#"{"op":"typing","ticket":"no","on":true}"#, "invalid", Value::Null),
            (r#"{"op":"patch","id":"p","ticket":"no","set":{}}"#, "invalid", json!("p")),
        ];
        for (frame, code, id) in cases {
            socket.send_raw(Message::text(frame)).await;
            let answer = socket.next().await;
            assert_eq!((&answer["op"], &answer["id"]), (&json!("error"), &id), "{frame}: {answer}");
            let codes = [code, "invalid"];
            assert!(
                codes.contains(&answer["problem"]["code"].as_str().unwrap()),
                "{frame}: {answer}"
            );
        }
        for (fields, code) in [
            (json!({"op": "message", "id": "m", "ticket": ticket, "body": "b"}), "not_found"),
            (json!({"op": "message", "id": "é", "ticket": ticket, "body": "b"}), "invalid"),
            (json!({"op": "message", "id": long, "ticket": ticket, "body": "b"}), "invalid"),
            (json!({"op": "message", "id": "m", "ticket": ticket}), "invalid"),
            (
                json!({"op": "patch", "id": "m", "ticket": ticket, "set": {"observed": "x"}}),
                "invalid",
            ),
            (json!({"op": "patch", "id": "m", "ticket": ticket, "set": {"no": 1}}), "invalid"),
            (json!({"op": "subscribe", "id": "s", "tickets": [ticket]}), "not_found"),
        ] {
            socket.send(&fields).await;
            let answer = socket.next().await;
            assert_eq!(answer["problem"]["code"], code, "{fields}: {answer}");
        }
        socket.send(&json!({"op": "ping", "id": "p"})).await;
        assert_eq!(socket.next().await, json!({"op": "pong", "id": "p"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_text_of_a_bearable_size_ends_the_socket_with_its_code() {
    on_both_backends(async |site: &Site, node: &Node| {
        let token = site.token("agent", "ann");
        let open = async || Socket::open(node.address(), &token).await;
        let mut binary = open().await;
        binary.send_raw(Message::binary(vec![1, 2, 3])).await;
        assert_eq!(binary.closed().await, 1003);
        let mut big = open().await;
        let _ = big.try_send(Message::text("x".repeat(90 * 1024))).await;
        assert_eq!(big.closed().await, 1009);
        let mut stranger = Socket::handshake(node.address(), &[]).await.unwrap();
        let _ = stranger.try_send(Message::text("x".repeat(20 * 1024))).await;
        assert_eq!(stranger.closed().await, 1009, "who brought no token yet is read no further");
        let mut broken = open().await;
        let frame = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
        broken.send_raw(Message::Frame(frame)).await;
        assert_eq!(broken.closed().await, 1007);
        let mut flood = open().await;
        for number in 0..2_000 {
            let ping = json!({"op": "ping", "id": format!("{number}")}).to_string();
            if !flood.try_send(Message::text(ping)).await {
                break;
            }
        }
        assert_eq!(flood.closed().await, 1008);
        let mut refused = open().await;
        let ticket = "0192b0a0-0000-7000-8000-000000000001";
        for number in 0..2_000 {
            let message =
                json!({"op": "message", "id": number.to_string(), "ticket": ticket, "body": "b"});
            if !refused.try_send(Message::text(message.to_string())).await {
                break;
            }
        }
        assert_eq!(refused.closed().await, 1008);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_opens_for_a_valid_token_wherever_it_stands_and_for_no_foreign_page() {
    on_both_backends(async |site: &Site, node: &Node| {
        let (address, token) = (node.address(), site.token("agent", "ann"));
        let bearer = format!("Bearer {token}");
        let protocol = format!("chat, bearer.{token}");
        let mut socket =
            Socket::handshake(address, &[("sec-websocket-protocol", &protocol)]).await.unwrap();
        assert_eq!(socket.next().await["op"], "ready");
        let mut socket = Socket::handshake(address, &[]).await.unwrap();
        socket.send(&json!({"op": "auth", "token": token})).await;
        assert_eq!(socket.next().await["op"], "ready");
        for (first, id, code) in [
            (r#"{"op":"auth","token":"no"}"#, json!(null), "unauthenticated"),
            (r#"{"op":"ping","id":"p"}"#, json!("p"), "unauthenticated"),
            (r#"{"op":"pang","id":"q"}"#, json!("q"), "invalid"),
            (r#"{"op":"auth"}"#, json!(null), "invalid"),
            (r#"{"op":"auth","token":5}"#, json!(null), "invalid"),
            (r#"{"op":"auth","token":"#, json!(null), "malformed_json"),
        ] {
            let mut socket = Socket::handshake(address, &[]).await.unwrap();
            socket.send_raw(Message::text(first)).await;
            let refused = socket.next().await;
            let told = (&refused["problem"]["code"], &refused["id"]);
            assert_eq!(told, (&json!(code), &id), "{first}");
            assert_eq!(socket.closed().await, 1008);
        }
        let refused =
            async |headers: &[(&str, &str)]| Socket::handshake(address, headers).await.err();
        assert_eq!(refused(&[("authorization", "Bearer no")]).await, Some(401));
        assert_eq!(refused(&[("sec-websocket-protocol", "bearer.no")]).await, Some(401));
        let page = [("origin", "https://evil.example"), ("authorization", &bearer)];
        assert_eq!(refused(&page).await, Some(403));
        assert_eq!(refused(&[("origin", "null"), ("authorization", &bearer)]).await, Some(403));
        let own = format!("http://{address}");
        assert_eq!(refused(&[("origin", &own), ("authorization", &bearer)]).await, None);
        let plain = node.client(&token).get("/v1/live").send().await;
        assert_eq!(plain.status, 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_ends_its_socket_unless_it_is_renewed() {
    on_both_backends(async |site: &Site, node: &Node| {
        let short =
            Token { role: "agent", subject: "ann", tenant: None, device: None, ttl: Some("8s") };
        let token = site.sign(&short);
        let mut ends = Socket::open(node.address(), &token).await;
        let mut stays = Socket::open(node.address(), &token).await;
        stays.send(&json!({"op": "auth", "token": site.token("agent", "ann")})).await;
        let mut other = Socket::open(node.address(), &token).await;
        other.send(&json!({"op": "auth", "token": site.token("agent", "bob")})).await;
        assert_eq!(other.closed().await, 1008, "a socket has one caller");
        let path = "/v1/feed";
        let mut stream = EventStream::open(node.address(), &token, path, &[]).await.unwrap();
        assert_eq!(ends.closed().await, 4401);
        assert_eq!(stream.event().await, None);
        stays.send(&json!({"op": "ping", "id": "p"})).await;
        assert_eq!(stays.next().await["op"], "pong");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_and_waits_that_nobody_issued_are_refused_on_every_door() {
    on_both_backends(async |site: &Site, node: &Node| {
        let (address, token) = (node.address(), site.token("agent", "ann"));
        let agent = node.client(&token);
        let body = json!({"subject": "S", "body": "B", "requester": {"id": "c"}});
        let opened = agent.post("/v1/tickets").json(&body).send().await.expect_status(201).json();
        let ticket = opened["ticket"]["id"].as_str().unwrap().to_owned();
        for cursor in ["no", "AQ", "%00", "💥"] {
            let path = format!("/v1/feed?after={cursor}");
            let status = EventStream::open(address, &token, &path, &[]).await.err();
            assert!(matches!(status, Some(400 | 422)), "{cursor}: {status:?}");
        }
        let last = [("last-event-id", "no")];
        assert_eq!(EventStream::open(address, &token, "/v1/feed", &last).await.err(), Some(400));
        let customer = site.token("customer", "cus_1");
        assert_eq!(EventStream::open(address, &customer, "/v1/feed", &[]).await.err(), Some(403));
        for wait in ["", "1", "-1s", "61s", "1h", "1.5s"] {
            for path in ["/v1/events".to_owned(), format!("/v1/tickets/{ticket}/events")] {
                let answer = agent.get(&format!("{path}?wait={wait}")).send().await;
                assert_eq!(
                    answer.expect_status(422).json()["errors"][0]["field"],
                    "wait",
                    "{wait}"
                );
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_reading_is_told_to_resume_and_the_others_notice_nothing() {
    on_both_backends(async |site: &Site, node: &Node| {
        let (address, token) = (node.address(), site.token("agent", "ann"));
        let agent = node.client(&token);
        let body = json!({"subject": "S", "body": "B", "requester": {"id": "c"}});
        let opened = agent.post("/v1/tickets").json(&body).send().await.expect_status(201).json();
        let ticket = opened["ticket"]["id"].as_str().unwrap().to_owned();
        let mut slow = Socket::open(address, &token).await;
        let mut quick = Socket::open(address, &token).await;
        for socket in [&mut slow, &mut quick] {
            socket.subscribe("s", json!({"tickets": [ticket]})).await;
        }
        // More than what the kernel's buffers, the socket's and the outbox hold together.
        let text = "x".repeat(60_000);
        let path = format!("/v1/tickets/{ticket}/messages");
        for _ in 0..400 {
            let _ = agent.post(&path).json(&json!({"body": text})).send().await.expect_status(201);
            assert_eq!(quick.next().await["op"], "event");
        }
        let (mut told, mut cursor) = (0, None);
        while cursor.is_none() {
            let frame = slow.next().await;
            match frame["op"].as_str() {
                Some("event") => told += 1,
                _ => cursor = frame["cursor"].as_str().map(str::to_owned),
            }
        }
        assert!(told < 400, "it was not told everything");
        slow.subscribe("again", json!({"tickets": [ticket], "after": cursor})).await;
        for _ in told..400 {
            assert_eq!(slow.next().await["event"]["text"]["body"], text);
        }
        assert!(slow.is_silent(Duration::from_millis(200)).await, "each event once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_renewed_beyond_the_rate_is_refused_and_the_socket_stays() {
    let site = Site::embedded().with("rate-limit", "5/s");
    let node = site.serve().await;
    let token = site.token("agent", "ann");
    let mut socket = Socket::open(node.address(), &token).await;
    for _ in 0..20 {
        socket.send(&json!({"op": "auth", "token": token})).await;
    }
    let refused = socket.next().await;
    assert_eq!((&refused["op"], &refused["id"]), (&json!("error"), &Value::Null), "{refused}");
    assert_eq!(refused["problem"]["code"], "rate_limited");
    socket.send(&json!({"op": "ping", "id": "p"})).await;
    assert_eq!(socket.until("pong").await["id"], "p");
}
