package node

import "github.com/musterdb/muster/engine"

// Delivery is a batch of messages that have their places in the queues of the shards, in the order in which
// deliveries began.
type Delivery interface {
	// Wait returns once every message is durable and applied, or refused; outcomes[i] belongs to msgs[i].
	// On an error, the outcome of every message is unknown and all may be sent again. The context with
	// which the delivery began also ends Wait. REQUIRES: Wait is called exactly once; what msgs refers to
	// does not change before it returns.
	Wait() (outcomes []engine.Outcome, err error)
}
