//! The table: medians, tails and ratios of one run.

use std::fmt;

use serde_json::Value;

use crate::contestant::Own;

/// One contestant over all its turns.
#[derive(Default)]
struct Row {
    name: &'static str,
    /// First and second order after each tick, µs.
    ticks: Vec<[i64; 2]>,
    missed: usize,
    owns: Vec<Own>,
}

#[derive(Default)]
pub struct Report(Vec<Row>);

impl Report {
    pub fn add(&mut self, name: &'static str, ticks: &[[i64; 2]], missed: usize, own: Own) {
        let at = self.0.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.0.push(Row { name, ..Row::default() });
            self.0.len() - 1
        });
        let row = &mut self.0[at];
        row.ticks.extend(ticks);
        row.missed += missed;
        row.owns.push(own);
    }

    /// Every sample, a line each.
    pub fn raw(&self) -> String {
        let line = |name: &str, [first, second]: &[i64; 2]| format!("{name}\t{first}\t{second}\n");
        let all = self.0.iter().flat_map(|row| row.ticks.iter().map(|tick| line(row.name, tick)));
        "# contestant, µs from the tick to the first and to the second order\n".to_owned()
            + &all.collect::<String>()
    }
}

impl Row {
    /// p50, p99 and maximum of a leg as the venues see it.
    fn seen(&self, leg: usize) -> [f64; 3] {
        let mut sorted: Vec<i64> = self.ticks.iter().map(|tick| tick[leg]).collect();
        sorted.sort_unstable();
        let at =
            |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)));
        [at(50), at(99), sorted.last()].map(|value| value.copied().unwrap_or(0) as f64)
    }

    /// The same in its own process: the median over the turns of each turn's figure.
    fn own(&self, leg: &str) -> [f64; 3] {
        ["p50", "p99", "max"].map(|name| {
            let of = |own: &Own| own.tick_to_wire_us[leg][name].as_f64();
            let mut all: Vec<f64> = self.owns.iter().filter_map(of).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(0.0)
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(engine) = self.0.first() else { return Ok(()) };
        let tables: [(&str, &dyn Fn(&Row, usize) -> [f64; 3]); 2] = [
            (
                "as the venues see it: last byte of the update out to last byte of the order in, µs",
                &|row, leg| row.seen(leg),
            ),
            (
                "in the process: message read to order written (the other stacks: handed to the client), µs",
                &|row, leg| row.own(["first", "second"][leg]),
            ),
        ];
        for (title, figures) in tables {
            writeln!(f, "{title}")?;
            writeln!(f, "{:<16}{:<8}{:>10}{:>10}{:>10}{:>12}", "", "order", "p50", "p99", "max", "to bot4")?;
            for row in &self.0 {
                for (leg, name) in ["first", "second"].iter().enumerate() {
                    let [p50, p99, max] = figures(row, leg);
                    let ratio = p50 / figures(engine, leg)[0].max(0.001);
                    writeln!(f, "{:<16}{name:<8}{p50:>10.1}{p99:>10.1}{max:>10.1}{ratio:>11.1}x", row.name)?;
                }
            }
            writeln!(f)?;
        }
        for row in &self.0 {
            writeln!(f, "{:<16}{} ticks, {} missed", row.name, row.ticks.len(), row.missed)?;
            for own in &row.owns {
                allocations(f, own, row.ticks.len())?;
            }
        }
        for row in &self.0 {
            for own in &row.owns {
                hops(f, row.name, &own.summary)?;
            }
        }
        Ok(())
    }
}

/// Where the time went, as the engine says: each hop of both legs, then the rest of its summary.
fn hops(f: &mut fmt::Formatter<'_>, name: &str, summary: &Value) -> fmt::Result {
    let Some(legs) = summary["hops_us"].as_object() else { return Ok(()) };
    let of = |times: &Value| ["p50", "p99", "max"].map(|field| times[field].as_f64().unwrap_or(f64::NAN));
    writeln!(
        f,
        "\n{name}, one turn: {} orders, {} of them ready",
        summary["orders_sent"], summary["orders_ready"]
    )?;
    for (leg, times) in legs.iter().flat_map(|(leg, hops)| hops.as_object().map(|hops| (leg, hops))) {
        for (hop, times) in times {
            let [p50, p99, max] = of(times);
            writeln!(f, "    {leg:<8}{hop:<22}{p50:>10.1}{p99:>10.1}{max:>10.1}  µs")?;
        }
    }
    for field in ["decision_to_terminal_ms", "fill_skew_ms"] {
        let [p50, p99, max] = of(&summary[field]);
        writeln!(f, "    {field:<30}{p50:>10.1}{p99:>10.1}{max:>10.1}")?;
    }
    Ok(())
}

fn allocations(f: &mut fmt::Formatter<'_>, own: &Own, ticks: usize) -> fmt::Result {
    for (thread, count) in &own.allocations {
        writeln!(f, "    allocations of {thread:<16}{count:>8} in {ticks} ticks")?;
    }
    Ok(())
}
