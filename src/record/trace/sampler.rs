//! Which requests are followed, by the words of `OTEL_TRACES_SAMPLER` (OpenTelemetry, SDK configuration).

use super::TraceId;

/// Decides from the caller's own decision and the id of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Whether a caller's own decision counts before ours.
    follows_parent: bool,
    /// Of the 2^56 values that the random part of an id has, those below are taken.
    below: u64,
}

/// Not a sampler that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSampler {
    /// The name.
    #[error("known are always_on, always_off, traceidratio, and each with parentbased_ before it")]
    Name,
    /// Its argument.
    #[error("the ratio is a number from 0 to 1")]
    Ratio,
}

/// The random part of an id: its last seven bytes (W3C Trace Context, level 2, §3.2.2.3).
const RANDOM: u64 = 1 << 56;

impl Sampler {
    /// `parentbased_always_on`, which is what counts where nothing is said.
    pub const DEFAULT: Self = Self { follows_parent: true, below: RANDOM };

    /// Reads the name of a sampler and its argument.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, InvalidSampler> {
        let (follows_parent, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let below = match kind {
            "always_on" => RANDOM,
            "always_off" => 0,
            "traceidratio" => {
                let ratio = argument.map_or(Ok(1.0), str::parse::<f64>);
                let ratio = ratio.ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                let ratio = ratio.ok_or(InvalidSampler::Ratio)?;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a part of 2^56, near enough"
                )]
                let below = (ratio * RANDOM as f64) as u64;
                below
            }
            _ => return Err(InvalidSampler::Name),
        };
        Ok(Self { follows_parent, below })
    }

    /// Whether a request is followed; `parent` is what its caller decided, if it said so.
    pub(super) fn takes(self, parent: Option<bool>, trace: TraceId) -> bool {
        match parent {
            Some(sampled) if self.follows_parent => sampled,
            Some(_) | None => {
                u128::from_be_bytes(trace.0) % u128::from(RANDOM) < u128::from(self.below)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sampler_takes_what_its_name_says() {
        let id = |last: u8| TraceId([last; 16]);
        let all = [None, Some(false), Some(true)];
        for (name, argument, expected) in [
            ("always_on", None, [true, true, true]),
            ("always_off", Some("1"), [false, false, false]),
            ("parentbased_always_on", None, [true, false, true]),
            ("parentbased_always_off", None, [false, false, true]),
            ("traceidratio", Some("0"), [false; 3]),
            ("traceidratio", None, [true; 3]),
            ("parentbased_traceidratio", Some("0.0"), [false, false, true]),
        ] {
            let sampler = Sampler::parse(name, argument).unwrap();
            assert_eq!(all.map(|parent| sampler.takes(parent, id(0x80))), expected, "{name}");
        }
        let half = Sampler::parse("traceidratio", Some("0.5")).unwrap();
        assert_eq!(
            [0, 0x7f, 0x80, 0xff].map(|last| half.takes(None, id(last))),
            [true, true, false, false]
        );
        assert_eq!(Sampler::parse("parentbased_always_on", None), Ok(Sampler::DEFAULT));
    }

    #[test]
    fn what_is_no_sampler_is_said() {
        for (name, argument, fault) in [
            ("", None, InvalidSampler::Name),
            ("on", None, InvalidSampler::Name),
            ("jaeger_remote", None, InvalidSampler::Name),
            ("traceidratio", Some("1.5"), InvalidSampler::Ratio),
            ("traceidratio", Some("NaN"), InvalidSampler::Ratio),
            ("traceidratio", Some("half"), InvalidSampler::Ratio),
        ] {
            assert_eq!(Sampler::parse(name, argument), Err(fault), "{name}");
        }
    }
}
