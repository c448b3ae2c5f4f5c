//! Answers that are too large for one message.

#![expect(deprecated, reason = "the protocol deprecates the fields, and has nothing in their place")]

use duramen_proto::OrchestratorResponse;
use prost::Message as _;

/// Bytes of one message of an answer, as the SDKs of Microsoft have it: just under the usual limit of 4 MiB.
const CHUNK_BYTES: usize = 4_089_446;

/// Cuts an answer by its actions. One action may be larger.
pub(super) fn cut(response: OrchestratorResponse) -> Vec<OrchestratorResponse> {
    cut_at(response, CHUNK_BYTES)
}

fn cut_at(mut response: OrchestratorResponse, most: usize) -> Vec<OrchestratorResponse> {
    if response.encoded_len() <= most {
        return vec![response];
    }
    let actions = std::mem::take(&mut response.actions);
    // What every part says, the length of an action beside the action included.
    let envelope = response.encoded_len() + 16;
    let mut parts = vec![Vec::new()];
    let mut bytes = envelope;
    for action in actions {
        let size = action.encoded_len() + 8;
        if bytes + size > most && bytes > envelope {
            parts.push(Vec::new());
            bytes = envelope;
        }
        bytes += size;
        parts.last_mut().expect("there is one").push(action);
    }
    let last = parts.len() - 1;
    let part = |(index, actions)| OrchestratorResponse {
        actions,
        is_partial: index < last,
        chunk_index: Some(index as i32),
        ..response.clone()
    };
    parts.into_iter().enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_proto::orchestrator_action::OrchestratorActionType;
    use duramen_proto::{OrchestratorAction, ScheduleTaskAction};

    fn answer(sizes: &[usize]) -> OrchestratorResponse {
        let action = |(id, size): (usize, &usize)| OrchestratorAction {
            id: id as i32,
            orchestrator_action_type: Some(OrchestratorActionType::ScheduleTask(ScheduleTaskAction {
                input: Some("x".repeat(*size)),
                ..Default::default()
            })),
        };
        OrchestratorResponse {
            completion_token: "t".into(),
            custom_status: Some("s".into()),
            actions: sizes.iter().enumerate().map(action).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_small_answer_is_one_message() {
        assert_eq!(cut_at(answer(&[1, 2]), 1000), [answer(&[1, 2])]);
    }

    #[test]
    fn a_large_one_is_cut_between_actions_and_each_part_fits() {
        let whole = answer(&[400, 400, 400, 5000, 10, 10]);
        let parts = cut_at(whole.clone(), 1000);
        let ids: Vec<Vec<i32>> =
            parts.iter().map(|part| part.actions.iter().map(|action| action.id).collect()).collect();
        assert_eq!(ids, [vec![0, 1], vec![2], vec![3], vec![4, 5]]);
        let marks: Vec<_> = parts.iter().map(|part| (part.is_partial, part.chunk_index)).collect();
        assert_eq!(marks, [(true, Some(0)), (true, Some(1)), (true, Some(2)), (false, Some(3))]);
        for part in &parts {
            assert!(part.encoded_len() <= 1000 || part.actions.len() == 1, "{}", part.encoded_len());
            assert_eq!((part.completion_token.as_str(), part.custom_status.as_deref()), ("t", Some("s")));
        }
    }
}
