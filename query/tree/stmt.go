package tree

// Query is a whole statement. AsOf nil means the coordinator's now; Zone "" the workspace's.
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

// Dimension is one `by D`. Exactly one of the forms is set: an attribute (Name), Steps of a number
// (Name and Step), a calendar unit of a time attribute (Name and Unit), a Segment, or a first, last or
// favorite Measure.
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

// Column is an expression with an optional name (`as name`, "" without).
type Column struct {
	X  Expr
	As string
	At Span
}

// Limit is -1 where none was written. A nil Where is everyone.
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
	// TrendStmt: Of nil is count; else a Measure with Event "" and Fn count, sum, avg, min, max or
	// distinct of a property of the event. Users is `of users`.
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
	// WhyStmt asks about one profile; Where is an InSegment for `why profile "u" in segment "x"`.
	WhyStmt struct {
		Profile string
		Where   Pred
		At      Span
	}
	CreateStmt struct {
		Replace      bool
		Segment      Segment // Zone is the query's, set when it is saved
		AllowUnknown bool
		At           Span
	}
	DropStmt struct {
		Name string
		At   Span
	}
	// ShowStmt: What is segments, events or attributes.
	ShowStmt struct{ What string }
	// DescribeStmt: What is segment, event or attribute.
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
