//! Measuring in an installation of its own, which is gone afterwards, also after an interruption.

use crate::wire::scratch::Scratch;
use crate::wire::{Installation, WireError};

/// Measures `what` in a scratch installation like `like`; answers the backend, with the settings that matter, beside.
///
/// # Errors
/// When something fails, or somebody interrupts.
pub(super) async fn in_scratch<R>(
    like: &Installation,
    what: &str,
    measure: impl AsyncFnOnce(&Scratch) -> Result<R, WireError>,
) -> Result<(String, R), WireError> {
    let name = format!("docket_bench_{}_{what}", std::process::id());
    let scratch = Scratch::make(like, &name).await?;
    let measured = tokio::select! {
        measured = measure(&scratch) => measured,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    let backend = scratch.backend().await;
    scratch.remove().await?;
    Ok((backend?, measured?))
}
