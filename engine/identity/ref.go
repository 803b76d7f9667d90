package identity

// Ref is a literal id with its kind: a user id and an anonymous id with the same text are different.
type Ref struct {
	Anonymous bool
	ID        string
}

// User returns the Ref of a user id.
func User(id string) Ref { return Ref{ID: id} }

// Anon returns the Ref of an anonymous id.
func Anon(id string) Ref { return Ref{Anonymous: true, ID: id} }

// before reports whether r ranks before s: users before anonymous ids, then by bytes.
func (r Ref) before(s Ref) bool {
	if r.Anonymous != s.Anonymous {
		return !r.Anonymous
	}
	return r.ID < s.ID
}

// String returns the id with its kind, for logs.
func (r Ref) String() string {
	if r.Anonymous {
		return "anonymous:" + r.ID
	}
	return "user:" + r.ID
}

// State is what the home shard of an id knows about it.
type State uint8

// The states. In states Moving and Moved, Home names the owner: messages for the id are redirected to it.
const (
	Unknown State = iota // never seen
	Live                 // has a profile here
	Moving               // claimed: frozen, still visible here
	Moved                // its facts belong to the owner now
	Erased               // erased: nothing may be taken over
)

// Home is the state of an id in its home shard. To is the owner in states Moving and Moved.
type Home struct {
	State State
	To    Ref
}
