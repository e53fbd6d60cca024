//! Tests of a viewer's choice of a layer.

use reqwest::{Method, RequestBuilder};
use whitewater_signaling::control::LayerChoice;

use crate::server::{Server, assert_problem, header};

fn choose(server: &Server, path: &str, body: &str) -> RequestBuilder {
    let request = server.request(Method::POST, path).header("Content-Type", "application/json");
    request.body(body.to_owned())
}

#[tokio::test]
async fn a_choice_reaches_the_port() {
    let server = Server::start().await;
    let [_, whep] = server.open_both("a").await;
    let layer = format!("{whep}/layer");

    let response = choose(&server, &layer, r#"{"mediaId":"1","rid":"h"}"#).send().await.unwrap();
    assert_eq!(response.status(), 200, "E41: status");
    let expected =
        LayerChoice { media_id: Some("1".into()), rid: Some("h".into()), ..LayerChoice::default() };
    assert_eq!(server.fake.last_choice(), expected, "E41: choice");

    let response = choose(&server, &layer, "{}").send().await.unwrap();
    assert_eq!(response.status(), 200, "E42: status of an empty object");
    assert_eq!(server.fake.last_choice(), LayerChoice::default(), "E42: automatic");

    choose(&server, &layer, r#"{"rid":"h"}"#).send().await.unwrap();
    assert_eq!(server.send(Method::DELETE, &layer).await.status(), 200, "E42: DELETE");
    assert_eq!(server.fake.last_choice(), LayerChoice::default(), "E42: automatic by DELETE");
}

#[tokio::test]
async fn what_is_no_choice_is_refused() {
    let server = Server::start().await;
    let [whip, whep] = server.open_both("a").await;
    let layer = format!("{whep}/layer");
    let rows = [
        ("", 400),
        ("hello", 400),
        ("{rid:\"h\"}", 400),
        ("{", 400),
        ("[]", 422),
        (r#"{"rid":1}"#, 422),
        (r#"{"maxWidth":-1}"#, 422),
        (r#"{"unknown":1}"#, 422),
        (r#"{"rid":"nope"}"#, 422),
    ];
    for (body, status) in rows {
        let response = choose(&server, &layer, body).send().await.unwrap();
        assert_problem(response, status, "E43").await;
    }
    let response = server.request(Method::POST, &layer).body("{}").send().await.unwrap();
    assert_problem(response, 415, "E43").await;
    for path in [format!("{whip}/layer"), "/whep/a/none/layer".into()] {
        let response = choose(&server, &path, "{}").send().await.unwrap();
        assert_problem(response, 404, "E43").await;
    }
}

#[tokio::test]
async fn the_resource_is_advertised_and_tells_what_it_takes() {
    let server = Server::start().await;
    server.open("/whip/a").await;
    let created = server.post("/whep/a").send().await.unwrap();
    let layer = format!("{}/layer", header(&created, "location"));
    let link = format!("<{layer}>; rel=\"urn:ietf:params:whep:ext:core:layer\"");
    let links: Vec<_> = created.headers().get_all("link").iter().collect();
    assert!(links.iter().any(|one| *one == link.as_str()), "E40: {links:?}");
    let response = server.send(Method::OPTIONS, &layer).await;
    assert_eq!(response.status(), 200, "W5: OPTIONS");
    assert_eq!(header(&response, "accept-post"), "application/json", "W6: of the layer resource");
}
