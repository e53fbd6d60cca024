//! A rule that says what a request may do: everything, whoever asks.

use axum::http::{HeaderMap, header};

use crate::control::{Action, Grant, Identity, Side, StreamName};

/// The permission under which a request on one side of a stream runs.
pub(crate) fn grant(side: Side, stream: &StreamName, headers: &HeaderMap) -> Grant {
    let action = match side {
        Side::Publish => Action::Publish,
        Side::Watch => Action::Watch,
    };
    let identity = bearer_token(headers).map(Identity::of_token);
    Grant { action, stream: stream.clone(), expires_in: None, identity }
}

/// The token of the one `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_and_nothing_else() {
        let rows: [(&[&str], Option<&str>); 8] = [
            (&[], None),
            (&["Bearer abc"], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Basic abc"], None),
            (&["abc"], None),
            (&["Bearer abc", "Bearer abc"], None),
        ];
        for (values, token) in rows {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(bearer_token(&headers), token, "{values:?}");
            let grant = grant(Side::Publish, &"a".parse().unwrap(), &headers);
            assert_eq!(grant.identity, token.map(Identity::of_token), "{values:?}");
        }
    }
}
