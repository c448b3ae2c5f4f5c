//! A few seeds, and those that once found something.

use duramen_fuzz::run_seed;

async fn hold(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(finding) = run_seed(seed, false).await {
            panic!(
                "seed {seed}: {finding}\nonce more: cargo run --package duramen-fuzz -- --from {seed} --seeds 1 --story"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_hold() {
    hold(1..=15).await;
}

/// 104: a purge whose timeout is the most negative there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_that_found_something_hold() {
    hold([104].into_iter()).await;
}
