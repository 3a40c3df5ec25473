//! What `cargo xtask fuzz` runs where libFuzzer can't be had: `fuzz run TARGET MINUTES [SEED]`; and
//! what it begins with where it can: `fuzz seeds TARGET FOLDER`.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    native::main()
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::fs;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::{Duration, Instant};

    use annals_tests::fuzz::{Mutator, TARGETS, Target};

    pub(super) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = match arguments[..] {
            ["seeds", target, folder] => seeds(target, Path::new(folder)),
            ["run", target, minutes] => run(target, minutes, "1"),
            ["run", target, minutes, seed] => run(target, minutes, seed),
            _ => Err("usage: fuzz run TARGET MINUTES [SEED], or fuzz seeds TARGET FOLDER".into()),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        }
    }

    fn named(name: &str) -> Result<&'static Target, String> {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        Target::named(name).ok_or_else(|| format!("{name} is no target: there are {names:?}"))
    }

    fn seeds(target: &str, folder: &Path) -> Result<(), String> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(told)?;
        for (number, seed) in (named(target)?.seeds)().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).map_err(told)?;
        }
        Ok(())
    }

    fn run(target: &str, minutes: &str, seed: &str) -> Result<(), String> {
        let target = named(target)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
        let time = Duration::from_secs(number(minutes)? * 60);
        let mut mutator = Mutator::new((target.seeds)(), number(seed)?);
        let begun = Instant::now();
        let mut executions = 0_u64;
        while begun.elapsed() < time {
            let input = mutator.input();
            executions += 1;
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                let file = format!("{}-{seed}-{executions}.bin", target.name);
                fs::write(&file, &input).map_err(|error| format!("{file}: {error}"))?;
                return Err(format!(
                    "{} failed by {file}: a fixture for tests/fuzz/fixtures/{}",
                    target.name, target.name
                ));
            }
        }
        println!("{}: {executions} executions", target.name);
        Ok(())
    }
}
