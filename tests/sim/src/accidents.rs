//! What befalls the server and the processes while it is not calm yet.

use crate::{
    orchestrator::Replica,
    quirks::CHANCE_EVERY_MS,
    specialist::Worker,
    world::{BEGIN_MS, Happening, Who, World},
};

impl World {
    pub(crate) fn befall(&mut self) {
        if self.is_calm() {
            return;
        }
        self.at(CHANCE_EVERY_MS, Happening::Befall);
        let everybody: Vec<Who> = self.processes.keys().copied().collect();
        let Some(who) = self.rng.choice(everybody) else { return };
        if self.mishap(self.quirks.server_restart) {
            self.server_down_until = self.now + self.rng.i64(200..6_000);
            self.say(|| "server: away for a moment".to_owned());
        }
        if self.mishap(self.quirks.partition) {
            let until = self.now + self.rng.i64(500..25_000);
            self.say(|| format!("{who:?}: cut off until {}", until - BEGIN_MS));
            if let Some(process) = self.processes.get_mut(&who) {
                process.cut_until = until;
            }
        }
        if self.mishap(self.quirks.pause) {
            let pause_ms = self.rng.i64(1_000..40_000);
            self.stop(who, pause_ms);
        }
        if self.mishap(self.quirks.crash) {
            self.crash(who);
        }
        if self.mishap(self.quirks.lost_tail) {
            self.lose_tail();
        }
    }

    pub(crate) fn stop(&mut self, who: Who, pause_ms: i64) {
        let until = self.now + pause_ms;
        self.say(|| format!("{who:?}: stopped until {}", until - BEGIN_MS));
        if let Some(process) = self.processes.get_mut(&who) {
            process.stopped_until = until;
        }
    }

    pub(crate) fn crash(&mut self, who: Who) {
        let Some(process) = self.processes.get_mut(&who) else { return };
        if process.is_down {
            return;
        }
        process.is_down = true;
        process.stopped_until = 0;
        process.life += 1;
        let life = process.life;
        self.say(|| format!("{who:?}: dies"));
        match who {
            Who::Orchestrator(at) => self.orchestrators[at] = Replica::new(at, life),
            Who::Worker(at) => self.workers[at] = Worker::new(at, life),
        }
        let after = self.rng.i64(500..8_000);
        self.at(after, Happening::Restart(who));
    }
}
