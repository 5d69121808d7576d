//! Runs what HTTP/2 needs beside its connection, on a tracker, so that it is counted.

use hyper::rt::Executor;
use portvakt::tasks::Tasks;

#[derive(Clone, Debug)]
pub(crate) struct OnTasks(pub(crate) Tasks);

impl<F> Executor<F> for OnTasks
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        let _running = self.0.spawn(future);
    }
}
