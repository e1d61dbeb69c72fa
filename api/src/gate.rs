//! The gate that every authenticated request passes: verified, then within its rate.

use docket_schemas::Timestamp;

use crate::auth::{Token, Verifier};
use crate::limit::{RateLimit, RateLimiter};
use crate::problem::Problem;

/// Admits callers. One per process.
pub struct Gate {
    verifier: Verifier,
    limiter: Option<RateLimiter>,
}

impl Gate {
    /// A gate for the verifier's tokens, each caller at `limit`; none is no limit.
    #[must_use]
    pub fn new(verifier: Verifier, limit: Option<RateLimit>) -> Self {
        Self { verifier, limiter: limit.map(RateLimiter::new) }
    }

    /// Verifies a token's text and counts the request.
    ///
    /// # Errors
    /// 401 `unauthenticated`, 429 `rate_limited`.
    pub async fn admit(&self, text: &str, now: Timestamp) -> Result<Token, Problem> {
        let token = match self.verifier.remembered(text, now) {
            Some(token) => token,
            None => {
                let verified = self.verifier.verify(text, now).await;
                verified.map_err(|error| Problem::unauthenticated(error.to_string()))?
            }
        };
        self.count(&token)?;
        Ok(token)
    }

    /// Counts one more request of a caller who was admitted before.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub fn count(&self, token: &Token) -> Result<(), Problem> {
        match &self.limiter {
            Some(limiter) => limiter.take(&token.tenant, &token.subject),
            None => Ok(()),
        }
    }

    /// The verifier behind the gate.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}
