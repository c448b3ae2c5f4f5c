//! What the scenarios of a suite said. Each writes a line `result TAB seconds TAB name TAB output`, with the newlines
//! of the output as `\n`.

use std::fs;
use std::path::Path;

pub(crate) struct Report {
    suite: &'static str,
    scenarios: Vec<Scenario>,
}

struct Scenario {
    outcome: Outcome,
    seconds: String,
    name: String,
    output: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Report {
    /// Reads the results; the suite's own failure, or no results at all, counts as one more failed scenario.
    pub(crate) fn read(suite: &'static str, file: &Path, end: Result<(), String>) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| format!("failed to read {}: {error}", file.display()))?;
        let mut scenarios = text.lines().map(parse).collect::<Result<Vec<_>, _>>()?;
        let failed = scenarios.iter().any(|scenario| scenario.outcome == Outcome::Failed);
        let problem = match end {
            Err(problem) if !failed => Some(problem),
            _ if scenarios.is_empty() => Some("no scenario ran".to_owned()),
            _ => None,
        };
        scenarios.extend(problem.map(|output| Scenario {
            outcome: Outcome::Failed,
            seconds: "-".to_owned(),
            name: "(the suite itself)".to_owned(),
            output,
        }));
        Ok(Self { suite, scenarios })
    }

    /// Prints the table, then what the failed ones said; gives their number.
    pub(crate) fn print(&self) -> usize {
        let width = self.scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
        println!("\n=== {}", self.suite);
        for Scenario { outcome, seconds, name, output } in &self.scenarios {
            let said = if *outcome == Outcome::Failed { "" } else { output.as_str() };
            println!("{:7} {seconds:>7} s  {name:width$}  {said}", outcome.name());
        }
        for scenario in self.of(Outcome::Failed) {
            println!("\n--- {} {} failed:\n{}", self.suite, scenario.name, scenario.output);
        }
        let count = |outcome| self.of(outcome).count();
        let (passed, failed, skipped) = (count(Outcome::Passed), count(Outcome::Failed), count(Outcome::Skipped));
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        failed
    }

    fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Scenario> {
        self.scenarios.iter().filter(move |scenario| scenario.outcome == outcome)
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

fn parse(line: &str) -> Result<Scenario, String> {
    let mut parts = line.splitn(4, '\t');
    let mut next = || parts.next().map(str::to_owned).ok_or(format!("the results hold a line {line:?}"));
    let outcome = match next()?.as_str() {
        "passed" => Outcome::Passed,
        "failed" => Outcome::Failed,
        "skipped" => Outcome::Skipped,
        other => return Err(format!("the results hold a line with {other:?}: {line}")),
    };
    Ok(Scenario { outcome, seconds: next()?, name: next()?, output: next()?.replace("\\n", "\n") })
}
