//! Which bodies are read, and what the others get.

use super::*;

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    assignee_id: Option<String>,
}

async fn payload(media_type: Option<&str>, body: impl Into<Body>) -> Payload {
    let mut request = Request::builder();
    if let Some(media_type) = media_type {
        request = request.header(header::CONTENT_TYPE, media_type);
    }
    let Ok(payload) = Payload::from_request(request.body(body.into()).unwrap(), &()).await;
    payload
}

#[tokio::test]
async fn a_body_of_the_right_media_type_is_read() {
    for media_type in ["application/json", "Application/JSON; charset=utf-8"] {
        let payload = payload(Some(media_type), r#"{"assignee_id":"ann"}"#).await;
        let claim = Claim { assignee_id: Some("ann".into()) };
        assert_eq!(payload.parse().map_err(code), Ok(claim));
    }
}

#[tokio::test]
async fn another_media_type_gets_415() {
    for media_type in [None, Some("text/plain"), Some("application/json5"), Some("")] {
        let payload = payload(media_type, "{}").await;
        assert_eq!(payload.parse::<Claim>().map_err(code), Err(Code::UnsupportedMediaType));
        let optional = payload.parse_or_default::<Claim>();
        assert_eq!(optional.map_err(code), Err(Code::UnsupportedMediaType));
    }
}

#[tokio::test]
async fn no_body_at_all_is_the_default_where_it_may_be_left_out() {
    for media_type in [None, Some("application/json")] {
        let payload = payload(media_type, "").await;
        assert_eq!(payload.parse_or_default().map_err(code), Ok(Claim::default()));
        assert!(payload.parse::<Claim>().is_err());
    }
}

#[tokio::test]
async fn a_body_beyond_1_mib_gets_413_with_the_limit() {
    let most = format!("{{}}{}", " ".repeat(BODY_BYTES_MAX - 2));
    assert!(payload(Some("application/json"), most.clone()).await.parse::<Claim>().is_ok());
    let more = payload(Some("application/json"), format!("{most} ")).await;
    let problem = more.parse::<Claim>().unwrap_err();
    assert_eq!(problem.code(), Code::TooLarge);
    assert_eq!(serde_json::to_value(&problem).unwrap()["limit"], BODY_BYTES_MAX);
}

fn code(problem: Problem) -> Code {
    problem.code()
}
