package tree

// Query is a whole statement. A nil AsOf means the now of the coordinator, Zone "" the workspace's zone.
type Query struct {
	Stmt Stmt
	AsOf *When
	Zone string
}

// Stmt is one of the pointer types below.
type Stmt interface {
	Node
	stmt()
}

// Dimension is one `by D`. Exactly one of these forms is set: an attribute (Name), steps of a number (Name and
// Step), a calendar unit of a time attribute (Name and Unit), a Segment, or a first, last or favorite
// Measure.
type Dimension struct {
	Name    *Name
	Step    *Number
	Unit    Unit
	Segment *InSegment
	Measure *Measure
	At      Span
}

// Order is one `order by` item: X with Desc. For count and list, X may name a column.
type Order struct {
	X    Expr
	Desc bool
}

// Column is an expression with an optional name: `as name`, "" if there is none.
type Column struct {
	X  Expr
	As string
	At Span
}

// The statements. Limit is -1 if there is none. A nil Where means everyone.
type (
	CountStmt struct {
		Where Pred
		By    []Dimension
		Order []Order
		Limit int64
	}
	ListStmt struct {
		Columns []Column
		Where   Pred
		Order   []Order
		Limit   int64
	}
	StatsStmt struct {
		Columns []Column // X is a *Measure, or arithmetic of measures
		Where   Pred
		By      []Dimension
		Order   []Order
		Limit   int64
	}
	// TrendStmt counts events if Of is nil. Otherwise Of is a Measure with Event "" and Fn count, sum, avg,
	// min, max or distinct, of a property of the event. Users is `of users`.
	TrendStmt struct {
		Step   Step
		Window Window
		Bucket Unit
		Of     *Measure
		Users  bool
		Where  Pred
		By     []Dimension
	}
	FunnelStmt struct {
		Steps  []Step
		Within Duration
		Window Window
		Where  Pred
		By     []Dimension
	}
	RetentionStmt struct {
		First, Then Step
		Window      Window
		Bucket      Unit
		Where       Pred
	}
	OverlapStmt struct {
		Preds []Pred
		Texts []string // the canonical text of each: the column names
	}
	InsightsStmt  struct{ Where, Against Pred }
	LookalikeStmt struct {
		Of    Pred
		Top   int64
		Among Pred
	}
	RFMStmt struct {
		Step   Step
		Window Window
		Amount Expr
		Where  Pred
	}
	ExplainStmt struct {
		Analyze bool
		Stmt    Stmt
	}
	// WhyStmt is about one profile. Where is an InSegment for `why profile "u" in segment "x"`.
	WhyStmt struct {
		Profile string
		Where   Pred
		At      Span
	}
	CreateStmt struct {
		Replace      bool
		Segment      Segment // Zone is set to that of the query when the segment is saved
		AllowUnknown bool
		At           Span
	}
	DropStmt struct {
		Name string
		At   Span
	}
	// ShowStmt has What "segments", "events" or "attributes".
	ShowStmt struct{ What string }
	// DescribeStmt has What "segment", "event" or "attribute".
	DescribeStmt struct {
		What, Name string
		At         Span
	}
)

func (*CountStmt) stmt()     {}
func (*ListStmt) stmt()      {}
func (*StatsStmt) stmt()     {}
func (*TrendStmt) stmt()     {}
func (*FunnelStmt) stmt()    {}
func (*RetentionStmt) stmt() {}
func (*OverlapStmt) stmt()   {}
func (*InsightsStmt) stmt()  {}
func (*LookalikeStmt) stmt() {}
func (*RFMStmt) stmt()       {}
func (*ExplainStmt) stmt()   {}
func (*WhyStmt) stmt()       {}
func (*CreateStmt) stmt()    {}
func (*DropStmt) stmt()      {}
func (*ShowStmt) stmt()      {}
func (*DescribeStmt) stmt()  {}
