package identity

import (
	"context"
	"fmt"
)

// Transport sends the protocol's requests to the shards of the ids they name. After an error the outcome is
// unknown.
type Transport interface {
	// Step sends a command to the home shard of the id it is for (Command.At). It returns the reply, and the
	// entry in which the command was applied.
	Step(ctx context.Context, c Command) (Reply, Moment, error)
	// Part reads from the home shard of the target, Home from that of the id.
	Part(ctx context.Context, owner, target Ref, part int) (data []byte, ok bool, err error)
	Home(ctx context.Context, id Ref) (Home, error)
}

// maxHops limits a chain of redirects. Ranks strictly descend along a chain, so the limit is reached only
// by this many aliases in a row.
const maxHops = 64

// Drive takes one Merge, as read from the owner's shard at a moment, through as many steps as possible. It
// returns true when the Merge has left the outbox, and false when the target is busy. It may be called
// again at any time, on any node, also concurrently with another Drive of the same Merge.
//
// Each step that moves facts names the moment of the previous step, so that a reader that sees the later
// step knows that it must see the earlier one.
func Drive(ctx context.Context, merge Merge, at Moment, t Transport) (settled bool, err error) {
	owner, target := merge.Owner, merge.Target
	step := func(c Command) (Reply, Moment, error) {
		c.Owner, c.Target = owner, target
		return t.Step(ctx, c)
	}
	drop := func(outcome Outcome) error {
		_, _, err := step(Command{Op: SettleOp, Outcome: outcome})
		return err
	}
	if merge.Stage == Wanted {
		reply, claimed, err := step(Command{Op: ClaimOp, Alias: merge.Alias})
		if err != nil {
			return false, fmt.Errorf("claim %s for %s: %w", target, owner, err)
		}
		switch answer := reply.Answer; answer.Verdict {
		case Busy:
			return false, nil
		case Reversed, Gone:
			return true, drop(Dropped)
		case Elsewhere:
			return true, settleElsewhere(ctx, merge, answer.To, t)
		case Granted:
			absorbed := false
			if at, absorbed, err = carry(ctx, merge, answer.Parts, claimed, t); err != nil || !absorbed {
				return false, err
			}
		default:
			return false, fmt.Errorf("claim %s for %s: unknown verdict %d", target, owner, answer.Verdict)
		}
	}
	_, released, err := step(Command{Op: ReleaseOp, After: at})
	if err != nil {
		return false, fmt.Errorf("release %s to %s: %w", target, owner, err)
	}
	_, _, err = step(Command{Op: SettleOp, Outcome: Done, After: released})
	return true, err
}

// carry sends the target's facts to the owner, starting with the first part that the owner does not have.
// It reports whether the owner has them all, and since which moment.
func carry(ctx context.Context, merge Merge, parts int, claimed Moment, t Transport) (at Moment, absorbed bool, err error) {
	absorb := Command{Op: AbsorbOp, Owner: merge.Owner, Target: merge.Target, Parts: parts, After: claimed}
	if parts == 0 {
		reply, at, err := t.Step(ctx, absorb)
		return at, reply.Done, err
	}
	for absorb.Part = len(merge.Parts); absorb.Part < parts; absorb.Part++ {
		data, ok, err := t.Part(ctx, merge.Owner, merge.Target, absorb.Part)
		if err != nil {
			return at, false, fmt.Errorf("read part %d of %s: %w", absorb.Part, merge.Target, err)
		}
		if !ok { // released meanwhile by another Drive, which settles the Merge
			return at, false, nil
		}
		absorb.Data = data
		reply, moment, err := t.Step(ctx, absorb)
		if err != nil {
			return at, false, fmt.Errorf("absorb part %d of %s: %w", absorb.Part, merge.Target, err)
		}
		at, absorbed = moment, reply.Done
	}
	return at, absorbed, nil
}

// settleElsewhere ends a Merge whose target belongs to another id: the owner itself by another path, a user
// that an alias continues with, or a different person, which is a conflict.
func settleElsewhere(ctx context.Context, merge Merge, to Ref, t Transport) error {
	settle := Command{Op: SettleOp, Owner: merge.Owner, Target: merge.Target}
	final := to
	for range maxHops {
		if final == merge.Owner {
			settle.Outcome = Dropped
			_, _, err := t.Step(ctx, settle)
			return err
		}
		home, err := t.Home(ctx, final)
		if err != nil {
			return fmt.Errorf("cannot find the owner of %s: %w", merge.Target, err)
		}
		if home.State != Moving && home.State != Moved {
			break
		}
		final = home.To
	}
	settle.Outcome = Conflict
	if merge.Alias {
		settle.Outcome, settle.Next = Retarget, final
	}
	_, _, err := t.Step(ctx, settle)
	return err
}
