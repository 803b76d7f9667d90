package syntax

import "github.com/alecthomas/participle/v2/lexer"

// The statements as participle reads them: one struct per statement, lowered to the tree in lower.go.
// Types with a Parse method are hand-written productions. Every alternative begins with its keyword.

// predicateText is a text that is only a predicate.
type predicateText struct {
	P *predicate `parser:"@@"`
}

// statementText is the text of a whole statement.
type statementText struct {
	Explain bool       `parser:"( @'explain':Word"`
	Analyze bool       `parser:"  @'analyze':Word? )?"`
	Stmt    *statement `parser:"@@"`
	Endings []*ending  `parser:"@@*"`
}

// ending is `parser:"as of T"` or `parser:"in timezone 'Z'"`, in either order.
type ending struct {
	Pos  lexer.Position
	AsOf *instant `parser:"  'as':Word 'of':Word @@"`
	Zone *text    `parser:"| 'in':Word 'timezone':Word @@"`
}

type statement struct {
	Count     *countText     `parser:"  'count':Word @@"`
	List      *listText      `parser:"| 'list':Word @@"`
	Stats     *statsText     `parser:"| 'stats':Word @@"`
	Trend     *trendText     `parser:"| 'trend':Word @@"`
	Funnel    *funnelText    `parser:"| 'funnel':Word @@"`
	Retention *retentionText `parser:"| 'retention':Word @@"`
	Overlap   []*predicate   `parser:"| 'overlap':Word @@ ( ',':Op @@ )+"`
	Insights  *insightsText  `parser:"| 'insights':Word @@"`
	Lookalike *lookalikeText `parser:"| 'lookalike':Word @@"`
	RFM       *rfmText       `parser:"| 'rfm':Word @@"`
	Why       *whyText       `parser:"| 'why':Word @@"`
	Create    *createText    `parser:"| 'create':Word @@"`
	Drop      *text          `parser:"| 'drop':Word 'segment':Word @@"`
	Show      string         `parser:"| 'show':Word @( 'segments':Word | 'events':Word | 'attributes':Word )"`
	Describe  *describeText  `parser:"| 'describe':Word @@"`
}

type countText struct {
	Where *predicate     `parser:"( 'where':Word @@ )?"`
	By    []*dimension   `parser:"( 'by':Word @@ ( ',':Op @@ )* )?"`
	Order []*rowOrdering `parser:"( 'order':Word 'by':Word @@ ( ',':Op @@ )* )?"`
	Limit *whole         `parser:"( 'limit':Word @@ )?"`
}

type listText struct {
	Columns []*column   `parser:"( @@ ( ',':Op @@ )* )?"`
	Where   *predicate  `parser:"( 'where':Word @@ )?"`
	Order   []*ordering `parser:"( 'order':Word 'by':Word @@ ( ',':Op @@ )* )?"`
	Limit   *whole      `parser:"( 'limit':Word @@ )?"`
}

type statsText struct {
	Columns []*statsColumn   `parser:"@@ ( ',':Op @@ )*"`
	Where   *predicate       `parser:"( 'where':Word @@ )?"`
	By      []*dimension     `parser:"( 'by':Word @@ ( ',':Op @@ )* )?"`
	Order   []*statsOrdering `parser:"( 'order':Word 'by':Word @@ ( ',':Op @@ )* )?"`
	Limit   *whole           `parser:"( 'limit':Word @@ )?"`
}

type ordering struct {
	X    *expression `parser:"@@"`
	Desc bool        `parser:"( @'desc':Word | 'asc':Word )?"`
}

type rowOrdering struct {
	X    *rowKey `parser:"@@"`
	Desc bool    `parser:"( @'desc':Word | 'asc':Word )?"`
}

type statsOrdering struct {
	X    *statsExpr `parser:"@@"`
	Desc bool       `parser:"( @'desc':Word | 'asc':Word )?"`
}

type trendText struct {
	Event *eventWindow `parser:"@@"`
	Unit  *bucket      `parser:"'by':Word @@"`
	Of    *trendOf     `parser:"( 'of':Word @@ )?"`
	Where *predicate   `parser:"( 'where':Word @@ )?"`
	By    *dimension   `parser:"( 'by':Word @@ )?"`
}

type funnelText struct {
	Steps  []*step         `parser:"@@ ( 'then':Word @@ )+"`
	Within *within         `parser:"'within':Word @@"`
	Window *optionalWindow `parser:"@@?"`
	Where  *predicate      `parser:"( 'where':Word @@ )?"`
	By     *dimension      `parser:"( 'by':Word @@ )?"`
}

type retentionText struct {
	First *step         `parser:"@@"`
	Then  *eventWindow  `parser:"'then':Word @@"`
	Unit  *cohortBucket `parser:"'by':Word @@"`
	Where *predicate    `parser:"( 'where':Word @@ )?"`
}

type insightsText struct {
	Where   *predicate `parser:"'where':Word @@"`
	Against *predicate `parser:"( 'against':Word @@ )?"`
}

type lookalikeText struct {
	Of    *predicate `parser:"'of':Word @@"`
	Top   *whole     `parser:"'top':Word @@"`
	Among *predicate `parser:"( 'among':Word @@ )?"`
}

type rfmText struct {
	Event  *eventWindow  `parser:"'of':Word @@"`
	Amount *propertyExpr `parser:"'by':Word @@"`
	Where  *predicate    `parser:"( 'where':Word @@ )?"`
}

type whyText struct {
	Profile *text      `parser:"'profile':Word @@"`
	Where   *predicate `parser:"( 'where':Word @@"`
	Segment *text      `parser:"| 'in':Word 'segment':Word @@ )"`
}

type createText struct {
	Replace bool            `parser:"( 'or':Word @'replace':Word )?"`
	Name    *text           `parser:"'segment':Word @@"`
	Options []*createOption `parser:"@@*"`
	Pred    *predicate      `parser:"'as':Word @@"`
}

type createOption struct {
	Pos       lexer.Position
	Described *text   `parser:"  'described':Word @@"`
	Refresh   *within `parser:"| 'refresh':Word 'every':Word @@"`
	Allow     bool    `parser:"| @'allow':Word 'unknown':Word"`
}

type describeText struct {
	Segment   *text  `parser:"  'segment':Word @@"`
	Event     *event `parser:"| 'event':Word @@"`
	Attribute *name  `parser:"| 'attribute':Word @@"`
}
