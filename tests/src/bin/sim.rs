//! The simulations, on and on, each time with a new seed, on every processor: what `cargo xtask
//! sim` runs. Ends with the first failure, and says by which seed it comes again.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    native::main()
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::ExitCode;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use annals_core::MemoryStorage;
    use annals_tests::crash::{Plan, explore_crashes, explore_faults, silence_simulated_panics};
    use annals_tests::model;
    use annals_tests::sim_disk::Fault;

    const STEPS: usize = 60;
    const MODEL_STEPS: usize = 400;

    /// What has been done so far.
    #[derive(Default)]
    struct Counts {
        seeds: AtomicU64,
        crash_points: AtomicU64,
        fault_points: AtomicU64,
        model_steps: AtomicU64,
    }

    impl Counts {
        fn print(&self, seconds: u64) {
            println!(
                "{seconds} s: {} seeds, {} points of crashes, {} points of faults, {} steps \
                 beside the model",
                self.seeds.load(Ordering::Relaxed),
                self.crash_points.load(Ordering::Relaxed),
                self.fault_points.load(Ordering::Relaxed),
                self.model_steps.load(Ordering::Relaxed),
            );
        }
    }

    fn one_seed(seed: u64, counts: &Counts) {
        let points = explore_crashes(Plan::of(seed, STEPS), 6);
        counts.crash_points.fetch_add(points, Ordering::Relaxed);
        // Each fault in every 8th operation: the next seeds take the others.
        for fault in [Fault::Io, Fault::NoSpace, Fault::Panic] {
            let points = explore_faults(Plan::of(seed, STEPS), fault, 8);
            counts.fault_points.fetch_add(points, Ordering::Relaxed);
        }
        model::run(&MemoryStorage::new(), seed, MODEL_STEPS);
        counts.model_steps.fetch_add(MODEL_STEPS as u64, Ordering::Relaxed);
        counts.seeds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn main() -> ExitCode {
        let arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
        let (minutes, first_seed) = match arguments.collect::<Result<Vec<_>, _>>().as_deref() {
            Ok([minutes]) => (*minutes, new_seed()),
            Ok([minutes, seed]) => (*minutes, *seed),
            _ => {
                eprintln!("usage: sim MINUTES [SEED], whole numbers");
                return ExitCode::FAILURE;
            }
        };
        silence_simulated_panics();
        println!("seeds from {first_seed} on, for {minutes} minutes");
        let begun = Instant::now();
        let time = Duration::from_secs(minutes * 60);
        let (counts, next, failed) =
            (Counts::default(), AtomicU64::new(first_seed), AtomicBool::new(false));
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if catch_unwind(AssertUnwindSafe(|| one_seed(seed, &counts))).is_err() {
                    failed.store(true, Ordering::Relaxed);
                    eprintln!(
                        "seed {seed} FAILED. Again: cargo xtask sim --minutes 0 --seed {seed}"
                    );
                }
                counts.print(begun.elapsed().as_secs());
                if begun.elapsed() >= time {
                    break;
                }
            }
        };
        // Without time, it is that one seed.
        let jobs = match minutes {
            0 => 1,
            _ => std::thread::available_parallelism().map_or(1, usize::from),
        };
        std::thread::scope(|scope| {
            (0..jobs).for_each(|_| drop(scope.spawn(work)));
        });
        if failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn new_seed() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs()) << 20
    }
}
