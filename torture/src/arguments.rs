//! The command line.

use crate::child::Orders;
use crate::run::Plan;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::str::FromStr;

const USAGE: &str =
    "usage: duramen-torture run --kills N [--seed S] [--folder F] [--partitions P,..] [--kills-per-folder K]
       duramen-torture kill --folder F --kills N [--seed S] [--partitions P,..]
       duramen-torture verify --folder F [--partitions P]";

/// What to do.
pub(crate) enum Command {
    Run(Plan),
    /// The kills of one folder alone.
    Kill {
        folder: PathBuf,
        kills: u64,
        seed: u64,
        partitions: Partitions,
    },
    /// For the killer's use.
    Child(Orders),
    Verify {
        folder: PathBuf,
        partitions: u32,
    },
}

/// How many partitions the lives of a folder have, one after the other and then from the first again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partitions(Vec<u32>);

impl Partitions {
    /// Those of a life, which counts from 1; 0 is the verifier's.
    pub(crate) fn of(&self, life: u64) -> u32 {
        self.0[(life % self.0.len() as u64) as usize]
    }
}

impl Default for Partitions {
    fn default() -> Self {
        Self(vec![1])
    }
}

impl FromStr for Partitions {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Values of options, by name.
struct Options(Vec<(String, String)>);

impl Options {
    fn take<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(index) = self.0.iter().position(|(given, _)| given == name) else { return Ok(None) };
        let (_, value) = self.0.remove(index);
        value.parse().map(Some).map_err(|_| format!("--{name} cannot be {value:?}\n{USAGE}"))
    }

    fn need<T: FromStr>(&mut self, name: &str) -> Result<T, String> {
        self.take(name)?.ok_or_else(|| format!("--{name} is missing\n{USAGE}"))
    }

    fn end(self) -> Result<(), String> {
        match self.0.first() {
            Some((name, _)) => Err(format!("there is no option --{name}\n{USAGE}")),
            None => Ok(()),
        }
    }
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let verb = arguments.next().ok_or(USAGE)?;
    let mut given = Vec::new();
    while let Some(name) = arguments.next() {
        let name = name.strip_prefix("--").ok_or_else(|| format!("{name:?} is not an option\n{USAGE}"))?.to_owned();
        let value = arguments.next().ok_or_else(|| format!("--{name} needs a value\n{USAGE}"))?;
        given.push((name, value));
    }
    let mut options = Options(given);
    let command = match verb.as_str() {
        "run" => Command::Run(Plan {
            kills: options.need("kills")?,
            seed: options.take("seed")?,
            folder: options.take("folder")?,
            partitions: options.take("partitions")?.unwrap_or_default(),
            kills_per_folder: options.take("kills-per-folder")?.unwrap_or(20),
        }),
        "kill" => Command::Kill {
            folder: options.need("folder")?,
            kills: options.need("kills")?,
            seed: options.take("seed")?.unwrap_or(0),
            partitions: options.take("partitions")?.unwrap_or_default(),
        },
        "child" => Command::Child(Orders {
            folder: options.need("folder")?,
            seed: options.need("seed")?,
            life: options.need("life")?,
            partitions: options.need("partitions")?,
        }),
        "verify" => {
            Command::Verify { folder: options.need("folder")?, partitions: options.take("partitions")?.unwrap_or(1) }
        }
        _ => return Err(USAGE.to_owned()),
    };
    options.end()?;
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Command, String> {
        parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_run_needs_the_number_of_kills() {
        assert!(matches!(of("run --kills 3 --seed 4"), Ok(Command::Run(Plan { kills: 3, seed: Some(4), .. }))));
        assert!(of("run").is_err_and(|error| error.starts_with("--kills is missing")));
        assert!(of("run --kills many").is_err_and(|error| error.contains("\"many\"")));
        assert!(of("run --kills 3 --sed 4").is_err_and(|error| error.starts_with("there is no option --sed")));
    }

    #[test]
    fn lives_take_turns_with_partitions() {
        let partitions: Partitions = "1,3".parse().expect("numbers");
        assert_eq!([0, 1, 2, 3].map(|life| partitions.of(life)), [1, 3, 1, 3]);
        assert!("1,".parse::<Partitions>().is_err());
    }
}
