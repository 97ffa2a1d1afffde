//! Work that blocks a thread: reading files, parsing large documents, judging a long plan.

use tracing::Span;

/// Does it beside the async threads, which carry messages meanwhile. Its log lines belong to the span
/// it is done in. A panic in it is a panic of the caller, as anywhere else.
///
/// What was begun is finished also when the future is dropped: nothing may be half done by it.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let span = Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // It never began, because the process ends: nobody is there to be answered.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_it_made_comes_back_and_a_panic_stays_one() {
        assert_eq!(blocking(|| 1 + 1).await, 2);
        let failed = tokio::spawn(blocking(|| assert_eq!(1, 2, "a defect"))).await.unwrap_err();
        assert!(failed.is_panic());
    }
}
