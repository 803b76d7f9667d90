package identity

import (
	"context"
	"fmt"
)

// Transport carries the protocol's requests to the shards of the ids they name: Claim, Part and
// Home and Release to the target's, the others to the owner's. An error means the outcome is unknown.
type Transport interface {
	Claim(ctx context.Context, owner, target Ref, alias bool) (Answer, error)
	Part(ctx context.Context, owner, target Ref, part int) (data []byte, ok bool, err error)
	Absorb(ctx context.Context, owner, target Ref, part, parts int, data []byte) (absorbed bool, err error)
	Release(ctx context.Context, owner, target Ref) error
	Settle(ctx context.Context, owner, target Ref, outcome Outcome, next Ref) error
	Home(ctx context.Context, id Ref) (Home, error)
}

// maxHops bounds a chain of redirects; rank makes chains strictly descend, so it is never reached by
// honest data of fewer than this many aliases in a row.
const maxHops = 64

// Drive carries one Merge as far as it gets. It returns true when the Merge has left the outbox, and
// false when the target is busy. It may be called again at any time, from any node, also beside
// another Drive of the same Merge.
func Drive(ctx context.Context, merge Merge, t Transport) (settled bool, err error) {
	owner, target := merge.Owner, merge.Target
	if merge.Stage == Wanted {
		answer, err := t.Claim(ctx, owner, target, merge.Alias)
		if err != nil {
			return false, fmt.Errorf("claim %s for %s: %w", target, owner, err)
		}
		switch answer.Verdict {
		case Busy:
			return false, nil
		case Turned, Gone:
			return true, t.Settle(ctx, owner, target, Dropped, Ref{})
		case Elsewhere:
			return true, settleElsewhere(ctx, merge, answer.To, t)
		case Granted:
			if absorbed, err := carry(ctx, merge, answer.Parts, t); err != nil || !absorbed {
				return false, err
			}
		default:
			return false, fmt.Errorf("claim %s for %s: verdict %d is not known", target, owner, answer.Verdict)
		}
	}
	if err := t.Release(ctx, owner, target); err != nil {
		return false, fmt.Errorf("release %s to %s: %w", target, owner, err)
	}
	return true, t.Settle(ctx, owner, target, Done, Ref{})
}

// carry takes the target's facts to the owner, from the first part it does not have yet. It returns
// whether the owner has them all.
func carry(ctx context.Context, merge Merge, parts int, t Transport) (absorbed bool, err error) {
	if parts == 0 {
		return t.Absorb(ctx, merge.Owner, merge.Target, 0, 0, nil)
	}
	for part := len(merge.Parts); part < parts; part++ {
		data, ok, err := t.Part(ctx, merge.Owner, merge.Target, part)
		if err != nil {
			return false, fmt.Errorf("read part %d of %s: %w", part, merge.Target, err)
		}
		if !ok { // released meanwhile by another Drive, which settles it
			return false, nil
		}
		if absorbed, err = t.Absorb(ctx, merge.Owner, merge.Target, part, parts, data); err != nil {
			return false, fmt.Errorf("absorb part %d of %s: %w", part, merge.Target, err)
		}
	}
	return absorbed, nil
}

// settleElsewhere ends a Merge whose target belongs to somebody: to the owner itself by another way,
// to a user an alias goes on with, or to another person, which is a conflict.
func settleElsewhere(ctx context.Context, merge Merge, to Ref, t Transport) error {
	final := to
	for range maxHops {
		if final == merge.Owner {
			return t.Settle(ctx, merge.Owner, merge.Target, Dropped, Ref{})
		}
		home, err := t.Home(ctx, final)
		if err != nil {
			return fmt.Errorf("find where %s went: %w", merge.Target, err)
		}
		if home.State != Moving && home.State != Moved {
			break
		}
		final = home.To
	}
	if merge.Alias {
		return t.Settle(ctx, merge.Owner, merge.Target, Retarget, final)
	}
	return t.Settle(ctx, merge.Owner, merge.Target, Conflict, Ref{})
}
