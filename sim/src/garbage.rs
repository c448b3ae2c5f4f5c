//! What a broken worker might answer.

use crate::world::World;
use duramen_core::work::OrchestratorWork;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    CompleteOrchestrationAction, CreateSubOrchestrationAction, CreateTimerAction, OrchestrationStatus,
    OrchestratorAction, OrchestratorResponse, ScheduleTaskAction, SendEntityMessageAction,
};

impl World {
    /// What no orchestrator would answer, and a broken worker might.
    pub(crate) fn garbage(&mut self, work: &OrchestratorWork) -> OrchestratorResponse {
        let task = ScheduleTaskAction { name: "Act".into(), input: Some("x".into()), ..ScheduleTaskAction::default() };
        let schedule =
            |id: i32| OrchestratorAction { id, orchestrator_action_type: Some(Action::ScheduleTask(task.clone())) };
        let child = |id: i32, of: &str| OrchestratorAction {
            id,
            orchestrator_action_type: Some(Action::CreateSubOrchestration(CreateSubOrchestrationAction {
                instance_id: of.into(),
                name: "Program".into(),
                input: Some(format!("g-{}-{id}/1/0/3", work.execution_id)),
                ..CreateSubOrchestrationAction::default()
            })),
        };
        let completion = |id: i32, status: OrchestrationStatus| OrchestratorAction {
            id,
            orchestrator_action_type: Some(Action::CompleteOrchestration(CompleteOrchestrationAction {
                orchestration_status: status.into(),
                ..CompleteOrchestrationAction::default()
            })),
        };
        let entity = OrchestratorAction {
            id: 9,
            orchestrator_action_type: Some(Action::SendEntityMessage(SendEntityMessageAction::default())),
        };
        let timer = |id: i32| OrchestratorAction {
            id,
            orchestrator_action_type: Some(Action::CreateTimer(CreateTimerAction { fire_at: None })),
        };
        let empty = OrchestratorAction { id: 3, orchestrator_action_type: None };
        let failed = OrchestrationStatus::Failed;
        let actions = match self.rng.below(11) {
            0 => vec![schedule(1), completion(2, OrchestrationStatus::Pending)],
            1 => vec![schedule(1), timer(1), entity],
            2 => vec![child(5, ""), child(5, ""), completion(6, failed)],
            3 => vec![child(5, ""), child(5, "")],
            4 => vec![completion(1, failed), completion(2, OrchestrationStatus::Completed)],
            5 => vec![child(1, "a/b"), child(2, "@entity@1"), completion(-1, failed)],
            6 => vec![empty, schedule(1), schedule(1), completion(1, OrchestrationStatus::Terminated)],
            7 => vec![child(1, work.instance.as_str()), schedule(i32::MAX), completion(i32::MIN, failed)],
            8 => vec![completion(0, OrchestrationStatus::Running)],
            _ => vec![child(5, "")],
        };
        OrchestratorResponse { instance_id: work.instance.to_string(), actions, ..OrchestratorResponse::default() }
    }
}
