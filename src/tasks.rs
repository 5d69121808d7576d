//! The tracker of background tasks: the only place where one is started, and where their end is awaited.
//!
//! A task outlives the request that asked for it (a PDP call that others wait for), so it needs an owner
//! other than the request. What this does not hold: what the tasks do.

use std::future::Future;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks and waits for their end. Cheap to clone; all clones are one tracker.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

/// What tasks have, once the grace is over, to leave a word of their end. Bounds the end of the process.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Tasks {
    /// A tracker without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. It runs to its end even if the handle is dropped; a panic in it reaches whoever
    /// awaits the handle and nobody else.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Starts work that computes for long and waits for nothing, on a thread where it holds up no request.
    /// Otherwise as [`Self::spawn`].
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.tracker.spawn_blocking(work)
    }

    /// Fires when the process is about to end; periodic tasks stop at it.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Fires when the grace is over. For what has no end of its own, such as a WebSocket: it runs until
    /// then, and still has its record written.
    #[must_use]
    pub fn cutting(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Tells every task to stop and waits at most `grace` for their end; `false` if some still ran then.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_ok() {
            return true;
        }
        self.cut.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, self.tracker.wait()).await;
        false
    }
}

/// Computes for long on behalf of one request, on a thread where it holds up no other. The work goes on when
/// whoever waits for it leaves, so what bounds it belongs into it. A panic in it goes on here.
pub async fn compute_aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the end of the runtime takes such work back, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_outlives_its_handle_and_is_waited_for() {
        let tasks = Tasks::new();
        let (done, told) = tokio::sync::oneshot::channel();
        drop(tasks.spawn(async move { done.send(()) }));
        assert!(tasks.stop(Duration::from_secs(1)).await);
        assert_eq!(told.await, Ok(()));
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_end_of_its_own_is_cut_when_the_grace_is_over() {
        let tasks = Tasks::new();
        let cutting = tasks.cutting();
        let task = tasks.spawn(async move { cutting.cancelled().await });
        let began = tokio::time::Instant::now();
        assert!(!tasks.stop(Duration::from_secs(5)).await);
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        assert_eq!(tasks.running(), 0);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_reported() {
        let tasks = Tasks::new();
        let task = tasks.spawn(std::future::pending::<()>());
        assert!(!tasks.stop(Duration::from_secs(1)).await);
        task.abort();
    }
}
