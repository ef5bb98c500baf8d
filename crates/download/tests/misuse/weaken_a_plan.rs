use countersign_download::{Plan, Requirement};

fn weaken(plan: &mut Plan, requirement: Requirement) {
    plan.requirement = requirement;
}

fn main() {
    let _: Plan = Default::default();
}
