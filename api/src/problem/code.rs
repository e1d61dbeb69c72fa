//! The stable codes of problems, each with its status.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong, for programs. The names never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of their statuses.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it stands in the member `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status that always goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// One sentence for humans, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// A link to its description, relative to the server.
            #[must_use]
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$name => concat!("/docs#", $text),)* }
            }
        }
    };
}

codes! {
    /// The bytes are no JSON text.
    MalformedJson = "malformed_json", BAD_REQUEST, "The body is not JSON";
    /// The bytes are no HTTP request.
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request is not HTTP";
    /// A version token that Docket cannot have issued.
    VersionMalformed = "version_malformed", BAD_REQUEST, "The version is not one that Docket issued";
    /// A cursor that Docket cannot have issued.
    CursorMalformed = "cursor_malformed", BAD_REQUEST, "The cursor is not one that Docket issued";
    /// No valid token.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid token is needed";
    /// The caller's role may not do this.
    Forbidden = "forbidden", FORBIDDEN, "The role does not allow this";
    /// Nothing there, or nothing that the caller may see.
    NotFound = "not_found", NOT_FOUND, "There is nothing here";
    /// The path is served, but not with this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The path does not take this method";
    /// The request did not arrive in time.
    Timeout = "timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    /// A version of another ticket, or one never issued.
    VersionUnknown = "version_unknown", CONFLICT, "The version is not one of this ticket";
    /// Made on a version that is too old.
    Stale = "stale", CONFLICT, "The version that this was made on is too old";
    /// The ticket is closed.
    Closed = "closed", CONFLICT, "The ticket is closed";
    /// Somebody else holds the ticket.
    AlreadyClaimed = "already_claimed", CONFLICT, "Somebody else holds the ticket";
    /// Nobody holds the ticket.
    NotClaimed = "not_claimed", CONFLICT, "Nobody holds the ticket";
    /// The tickets cannot be merged.
    NotMergeable = "not_mergeable", CONFLICT, "The tickets cannot be merged";
    /// It does not go with how the saga stands.
    NotNow = "not_now", CONFLICT, "The saga does not stand so that this can be done";
    /// One writer on too many lanes.
    TooManyForks = "too_many_forks", CONFLICT, "The writer has too many concurrent lines of work";
    /// The log was restored from a backup.
    HistoryReplaced = "history_replaced", GONE, "The log was restored from before this cursor";
    /// The ticket has another version than `If-Match` names.
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "The ticket has changed";
    /// The body is larger than allowed.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The request line is longer than allowed.
    UriTooLong = "uri_too_long", URI_TOO_LONG, "The address is too long";
    /// The body is of another media type.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has to be application/json";
    /// A field, parameter or header has a value that is not allowed.
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "The request has fields that are not valid";
    /// The key belongs to another request.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key belongs to another request";
    /// Too many requests of one caller.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// Too many header fields, or too large ones.
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The header fields are too many or too large";
    /// A fault of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR, "The server failed";
    /// More work than the server takes on.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The server has too much to do";
    /// A part that the request needs does not answer.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The server cannot do this now";
    /// Another region decides this and cannot be reached.
    HomeRegionUnreachable = "home_region_unreachable", SERVICE_UNAVAILABLE, "The region that decides this cannot be reached";
}
