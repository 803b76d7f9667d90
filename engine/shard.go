package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query/tree"
)

// Config is the configuration of a shard. The same values must be given on every replica and after
// every restart: all but Number, TailRows, TotalsRows, Parse and Building decide outcomes.
type Config struct {
	Number      int           // of the shard; used in answers only
	Key         uint64        // secret of the cluster, the key for hashes of message ids
	DedupWindow int64         // ms a messageId is remembered; 24 h when 0
	DedupCap    int           // messageIds remembered at most; 5,600,000 (one eighth of 512 MiB) when 0
	DictCap     int           // values of one event property held in memory; 1,048,576 when 0
	TailRows    int           // rows from which on a tail may be made into leaves; 1,024 when 0
	TotalsRows  int           // rows in the leaves of a series from which on it keeps their totals; 65,536 when 0
	Skip        []string      // names of segments that are not evaluated, see skip.go
	Parse       catalog.Parse // parses the predicates of segments

	// Building is called with each segment that will take long to build, before the build begins. It
	// must not block. It may be nil.
	Building func(segment string, price Price)
}

// Defaults of Config.
const (
	defaultDedupWindow = 24 * 3_600_000
	defaultDedupCap    = 5_600_000
	defaultDictCap     = 1 << 20
)

func (c Config) withDefaults() Config {
	if c.DedupWindow == 0 {
		c.DedupWindow = defaultDedupWindow
	}
	if c.DedupCap == 0 {
		c.DedupCap = defaultDedupCap
	}
	if c.DictCap == 0 {
		c.DictCap = defaultDictCap
	}
	if c.TailRows == 0 {
		c.TailRows = tailLeast
	}
	if c.TotalsRows == 0 {
		c.TotalsRows = totalsRows
	}
	return c
}

// Validate returns everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.DedupWindow < 0 {
		errs = append(errs, fmt.Errorf("de-duplication window %d ms is negative", c.DedupWindow))
	}
	if c.DedupCap < 0 {
		errs = append(errs, fmt.Errorf("de-duplication cap %d is negative", c.DedupCap))
	}
	if c.DictCap < 0 || c.DictCap > 1<<31 {
		errs = append(errs, fmt.Errorf("dictionary cap %d is not between 0 and 2^31", c.DictCap))
	}
	if c.TailRows < 0 || c.TailRows > tailMost {
		errs = append(errs, fmt.Errorf("rows of a tail, %d, are not between 0 and %d", c.TailRows, tailMost))
	}
	if c.TotalsRows < 0 {
		errs = append(errs, fmt.Errorf("rows of totals, %d, are negative", c.TotalsRows))
	}
	return errors.Join(errs...)
}

// The columns that every shard has; those of attributes come after them. UserOf, AnonymousOf,
// FirstSeen and LastSeen are indexed by ordinal, the others by the code of an id.
const (
	columnUserOf        = iota // code of the profile's user id
	columnAnonymousOf          // code of its first anonymous id
	columnUserOwner            // ordinal of the profile with this user id
	columnAnonOwner            // ordinal of the profile with this anonymous id
	columnUserNext             // code of the next user id of the same profile
	columnAnonNext             // the same for anonymous ids
	columnUserHome             // state of the user id whose home is here, see identity_store.go
	columnAnonHome             // the same for anonymous ids
	columnFirstSeen            // least time of the profile's events, Unix ms
	columnLastSeen             // greatest time
	columnsOfEveryShard        // attributes from here on
)

// root is the whole state at one seq. It is a node like the others: frozen by a view, copied before
// the next entry is applied. It owns the slices; what they point to has its own epochs.
type root struct {
	epoch    uint64
	seq      uint64
	time     int64
	hash     factSum
	catalog  *catalog.State
	ordinals uint32 // ordinals assigned so far
	// users and anons assign codes to ids. An id may have a code without having a profile.
	users, anons         *dictionary
	userCodes, anonCodes uint32 // their lengths as of this version
	profiles             []*set
	columns              []*column
	events               []*eventTable
	lists                []*list
	dedup                *dedup
	imports              []*importSource
	segments             []*segment // by slot; nil: free
	slots                *slotIndex
	builds               []build
	needs                []uint64        // of the merge protocol, see View.Needs
	absorbed             []identity.Pair // of the merge protocol, see View.Absorbed
	mismatched           int64           // values dropped because they had another type
}

// Shard is the state of one shard. Its methods may be called from any goroutine. It has its own lock,
// which readers hold only while they take a view.
type Shard struct {
	config Config
	epochs epochs

	maintaining sync.Mutex // one Maintain at a time; taken before mu

	// Readers that arrive while an entry is being applied get the state before it from here.
	published atomic.Pointer[View]
	applied   atomic.Uint64 // seq of the last entry applied
	nextDue   atomic.Int64  // see Due; 0 before the first entry
	wanted    atomic.Int32  // number of further entries after which a view is published

	mu          sync.Mutex // guards everything below
	root        *root
	due         []seriesKey // series queued for Maintain, each once
	removals    uint64      // number of removals of rows, which make a running maintenance void
	dedupIndex  [dedupParts]dedupIndex
	importIndex map[string]int
	lastSource  int // index of the source that was looked up last
	machine     *identity.Machine
	facts       heldFacts
	merged      bool  // the entry being applied changed the merge protocol
	live        *live // nil if there are no segments
	decoder     decoder
	outcomes    []Outcome
	prefetched  prefetched
	removed     removedIDs // of the profiles that the last entry removed
	watching    []*Departures
}

// New returns an empty shard.
func New(c Config) (*Shard, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("open shard %d: %w", c.Number, err)
	}
	s := &Shard{config: c.withDefaults(), importIndex: map[string]int{}}
	s.root = &root{
		catalog: catalog.New(c.Parse),
		users:   newDictionary(tree.StringType), anons: newDictionary(tree.StringType),
		dedup: &dedup{}, slots: &slotIndex{},
	}
	for i := range columnsOfEveryShard {
		t := tree.NumberType
		if i == columnFirstSeen || i == columnLastSeen {
			t = tree.TimeType
		}
		s.root.columns = append(s.root.columns, &column{t: t})
	}
	s.machine = identity.NewMachine(identityStore{s})
	return s, nil
}

// own makes the root writable. REQUIRES: the lock is held.
func (s *Shard) own() {
	if !s.epochs.isFrozen(s.root.epoch) {
		return
	}
	copied := *s.root
	copied.epoch = s.epochs.current
	copied.profiles = slices.Clone(copied.profiles)
	copied.columns = slices.Clone(copied.columns)
	copied.events = slices.Clone(copied.events)
	copied.lists = slices.Clone(copied.lists)
	copied.imports = slices.Clone(copied.imports)
	copied.segments = slices.Clone(copied.segments)
	s.root = &copied
}

// column returns a column for writing. REQUIRES: the root is owned.
func (s *Shard) column(i int) *column {
	c := s.root.columns[i].own(&s.epochs)
	s.root.columns[i] = c
	return c
}

// Seq returns the seq of the last entry applied.
func (s *Shard) Seq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.root.seq
}

// Time returns the shard's replicated time, Unix ms.
func (s *Shard) Time() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.root.time
}

// Catalog returns the catalog as of the last entry applied.
func (s *Shard) Catalog() *catalog.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.root.catalog
}

// Hash returns the state hash. It is equal for equal logs, whatever was read, maintained or restored.
func (s *Shard) Hash() [16]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.root.hash.bytes()
}
