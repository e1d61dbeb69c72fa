//! Fifty queries with what they find, in Chinese, English and both.

use super::world::{Indexed, STAFF, person, ticket};
use crate::document::TicketWrite;
use crate::port::Reader;
use docket_schemas::{Channel, Kind, Priority, Status, TicketType};

fn world() -> Vec<TicketWrite> {
    vec![
        ticket(1, "Printer on fire")
            .says(true, "The HP printer on floor 3 is burning, please send help. Error E-4711.")
            .says(true, "Thanks, the fire is out.")
            .says(false, "Second burnt printer this year; blame the cheap toner.")
            .with(|ticket| {
                ticket.priority = Priority::Urgent;
                ticket.tags = vec!["hardware".to_owned(), "vip".to_owned()];
                ticket.assignee = Some(person(7));
            }),
        ticket(2, "打印机无法打印")
            .says(true, "三楼的打印机一直显示脱机，重启以后还是不能打印。")
            .says(true, "谢谢，已经好了。")
            .with(|ticket| {
                ticket.status = Status::Solved;
                ticket.tags = vec!["hardware".to_owned()];
            }),
        ticket(3, "机票退款").says(true, "我上周买的机票还没有退款，订单号 A20261120。").with(
            |ticket| {
                ticket.ticket_type = Some(TicketType::Question);
                ticket.group = Some("billing".to_owned());
                ticket.requester = person(2);
            },
        ),
        ticket(4, "VPN 连接失败")
            .says(true, "用VPN客户端连接公司网络时提示 timeout，错误代码809。")
            .says(true, "Please try the new client, 版本 5.2.1。")
            .with(|ticket| ticket.channel = Channel::Email),
        ticket(5, "Cannot log in")
            .says(true, "My account ann.lee@example.com is locked after three failed log-ins.")
            .says(true, "I have reset your password.")
            .with(|ticket| {
                ticket.status = Status::Hold;
                ticket.priority = Priority::High;
            }),
        ticket(6, "Rückerstattung für Café-Bestellung")
            .says(true, "Die Straße stimmt nicht; bitte an Müllerstraße 5 liefern.")
            .with(|ticket| ticket.requester = person(2)),
        ticket(7, "聊天：如何重置密码")
            .says(true, "忘记密码怎么办？")
            .says(true, "点击“忘记密码”，按提示重置。")
            .with(|ticket| ticket.kind = Kind::Chat),
        ticket(8, "プリンタが壊れた")
            .says(true, "コピー機もﾌﾟﾘﾝﾀも動きません。 프린터 고장입니다.")
            .with(|ticket| ticket.status = Status::Closed),
        ticket(9, "Weekly report")
            .says(true, "Imported as INC0000045 from the old desk; server 10.0.0.17 was rebooted.")
            .says(true, "Servers are running fine. The printing queue, too."),
        ticket(10, "").says(true, "打印"),
    ]
}

const QUERIES: [(&str, &[u64]); 60] = [
    // Chinese: one character, two, more.
    ("票", &[3]),
    ("机", &[2, 3]),
    ("打印", &[2, 10]),
    ("打印机", &[2]),
    ("机票", &[3]),
    ("印机", &[2]),
    ("退款", &[3]),
    ("打印机无法打印", &[2]),
    ("忘记密码", &[7]),
    ("密码", &[7]),
    ("重置密码", &[7]),
    ("打印 脱机", &[2]),
    ("三楼 打印机", &[2]),
    ("无法 脱机", &[]),
    ("印打", &[]),
    ("错误代码", &[4]),
    ("\"脱机，重启\"", &[2]),
    ("打印 -机", &[10]),
    ("打印 OR 机票", &[2, 3, 10]),
    ("公司网络", &[4]),
    // English: words, stems, phrases, beginnings, near words.
    ("printer", &[1]),
    ("PRINTERS", &[1]),
    ("printing", &[9]),
    ("server", &[9]),
    ("burning", &[1]),
    ("burn", &[1]),
    ("fail", &[5]),
    ("\"printer on fire\"", &[1]),
    ("\"fire on printer\"", &[]),
    ("\"servers are\"", &[9]),
    ("\"server are\"", &[]),
    ("print*", &[1, 9]),
    ("prin* -printer", &[9]),
    ("pritner~1", &[1]),
    ("passwrod~1", &[5]),
    ("fire toner", &[]),
    ("cheap toner", &[1]),
    ("fire -toner", &[]),
    ("fire OR password", &[1, 5]),
    ("ann.lee@example.com", &[5]),
    ("example.com", &[5]),
    ("10.0.0.17", &[9]),
    ("INC0000045", &[9]),
    ("inc00*", &[9]),
    ("E-4711", &[1]),
    ("cafe", &[6]),
    ("strasse OR müllerstraße", &[6]),
    // Both, and other scripts.
    ("VPN 连接", &[4]),
    ("vpn客户端", &[4]),
    ("timeout 809", &[4]),
    ("client 版本", &[4]),
    ("订单号 a2026*", &[3]),
    ("プリンタ", &[8]),
    ("프린터", &[8]),
    // Filters.
    ("status:open hardware", &[]),
    ("tag:hardware -status:solved", &[1]),
    ("assignee:p7 OR group:billing", &[1, 3]),
    ("打印 tag:none", &[10]),
    ("kind:chat OR channel:email 密码 OR VPN", &[4, 7]),
    ("requester:p2 -type:question", &[6]),
];

#[tokio::test]
async fn every_query_finds_its_tickets() {
    let indexed = Indexed::of(world()).await;
    for (query, expected) in QUERIES {
        assert_eq!(indexed.finds(STAFF, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_customer_finds_the_public_part_of_own_tickets() {
    let indexed = Indexed::of(world()).await;
    let customer = Reader::Customer(person(1));
    for (query, expected) in [
        ("printer", &[1_u64] as &[u64]),
        ("toner", &[]),
        ("-toner printer", &[1]),
        ("机票", &[]),
        ("status:hold", &[]),
        ("status:open", &[1, 4, 5, 7, 9, 10]),
        ("tag:vip OR group:billing OR kind:chat", &[]),
        ("requester:me -status:open", &[2, 8]),
        ("requester:p2", &[]),
    ] {
        assert_eq!(indexed.finds(customer, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn the_best_comes_first_with_what_fits() {
    let tickets = vec![
        ticket(1, "fire").says(true, "fire fire fire").says(false, "no smoke").says(true, "a fire"),
        ticket(2, "smoke").says(true, "a long story about everything but one fire and much else"),
        ticket(3, "nothing"),
    ];
    let indexed = Indexed::of(tickets).await;
    let found = indexed.ask(super::world::question(STAFF, "fire")).await;
    let hits: Vec<_> = found.hits.iter().map(|hit| hit.rank.ticket.number()).collect();
    assert_eq!(hits, [1, 2]);
    assert!(found.hits[0].score > found.hits[1].score && found.hits[1].score > 0.0);
    assert!(found.hits[0].subject && !found.hits[1].subject);
    let messages: Vec<_> = found.hits[0].messages.iter().map(|place| place.number()).collect();
    assert_eq!(messages, [1_000, 1_002]);
}
