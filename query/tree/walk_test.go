package tree

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// everyNode has one node of each type.
var everyNode = []Node{
	&And{}, &Or{}, &Not{}, &Everyone{}, &Truth{X: &Name{}}, &Compare{}, &In{}, &Range{}, &IsSet{}, &Text{}, &Has{}, &InWindow{}, &Anniversary{},
	&Did{}, &Edge{}, &Sequence{}, &InSegment{}, &WasIn{}, &InList{}, &InSample{}, &Rank{},
	&Name{}, &Literal{}, &Arith{}, &Measure{},
	&CountStmt{}, &ListStmt{}, &StatsStmt{}, &TrendStmt{}, &FunnelStmt{}, &RetentionStmt{}, &OverlapStmt{}, &InsightsStmt{},
	&LookalikeStmt{}, &RFMStmt{}, &ExplainStmt{}, &WhyStmt{}, &CreateStmt{}, &DropStmt{}, &ShowStmt{}, &DescribeStmt{},
	&Query{}, &Step{},
}

// TestEveryNodeIsKnown compares everyNode with the types in walk.go that have an inspect method.
func TestEveryNodeIsKnown(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "walk.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared, known []string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "inspect" {
			declared = append(declared, f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name)
		}
	}
	for _, n := range everyNode {
		known = append(known, reflect.TypeOf(n).Elem().Name())
	}
	slices.Sort(declared)
	slices.Sort(known)
	if !slices.Equal(declared, known) {
		t.Errorf("walk.go has\n%v\neveryNode has\n%v", declared, known)
	}
}

// TestInspectVisitsEveryField fills all fields of each node that hold nodes, and checks that Inspect visits
// them in the order of the fields.
func TestInspectVisitsEveryField(t *testing.T) {
	for _, empty := range everyNode {
		kind := reflect.TypeOf(empty).Elem()
		t.Run(kind.Name(), func(t *testing.T) {
			filled := reflect.New(kind)
			root := filled.Interface().(Node)
			want := fill(t, filled.Elem())
			if _, step := root.(*Step); !step { // fill returns a step itself, too
				want = append([]Node{root}, want...)
			}
			var got []Node
			Inspect(root, func(n Node) bool {
				got = append(got, n)
				return true
			})
			if !slices.Equal(got, want) {
				t.Errorf("Inspect visits\n%s\nwant\n%s", kinds(got), kinds(want))
			}
			got = nil
			Inspect(root, func(n Node) bool {
				got = append(got, n)
				return false
			})
			if len(got) != 1 {
				t.Errorf("Inspect visits children of a node for which f returns false: %s", kinds(got))
			}
			Inspect(empty, func(n Node) bool {
				if reflect.ValueOf(n).IsNil() {
					t.Error("Inspect visits a nil node")
					return false
				}
				return true
			})
		})
	}
}

func kinds(nodes []Node) string {
	var names []string
	for _, n := range nodes {
		names = append(names, reflect.TypeOf(n).Elem().Name())
	}
	return strings.Join(names, " ")
}

// fill sets all fields that hold nodes to leaves and returns the leaves in the order of the fields, parents
// before children. It leaves out InSegment.Def, as Inspect does.
func fill(t *testing.T, v reflect.Value) (nodes []Node) {
	switch {
	case v.Type() == reflect.TypeFor[*Segment](), v.Type() == reflect.TypeFor[Value]():
	case v.Type().Implements(reflect.TypeFor[Node]()):
		v.Set(leafOf(t, v.Type()))
		n := v.Interface().(Node)
		nodes = append(nodes, n)
		if v.Kind() == reflect.Pointer {
			nodes = append(nodes, fill(t, v.Elem())...)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			nodes = append(nodes, fill(t, v.Index(i))...)
		}
	case v.Kind() == reflect.Struct:
		if step, ok := v.Addr().Interface().(*Step); ok {
			nodes = append(nodes, step)
		}
		for i := range v.NumField() {
			nodes = append(nodes, fill(t, v.Field(i))...)
		}
	}
	return nodes
}

// leafOf returns a new node for a field of type typ.
func leafOf(t *testing.T, typ reflect.Type) reflect.Value {
	if typ.Kind() == reflect.Pointer {
		return reflect.New(typ.Elem())
	}
	for _, leaf := range []Node{&Everyone{}, &Name{}, &ShowStmt{}} {
		if reflect.TypeOf(leaf).Implements(typ) {
			return reflect.New(reflect.TypeOf(leaf).Elem())
		}
	}
	t.Fatalf("no leaf for a field of type %v", typ)
	return reflect.Value{}
}

func TestAny(t *testing.T) {
	previous := &Compare{L: &Name{Name: "p"}, R: &Arith{L: &Name{Name: "p", Previous: true}, R: &Literal{}}}
	for _, c := range []struct {
		name string
		node Node
		want bool
	}{
		{"nothing", nil, false},
		{"its own event", &Compare{L: &Name{}, R: &Literal{}}, false},
		{"deep below", &And{Args: []Pred{&Everyone{}, &Not{Arg: previous}}}, true},
		{"in a step", &Step{Where: previous}, true},
	} {
		if got := MentionsPrevious(c.node); got != c.want {
			t.Errorf("%s: MentionsPrevious is %v", c.name, got)
		}
	}
}

func TestMirrored(t *testing.T) {
	for o := Eq; o <= Ge; o++ {
		for c := -1; c <= 1; c++ {
			if o.Mirrored().Holds(-c) != o.Holds(c) {
				t.Errorf("%v mirrored is %v: they differ where the first compares as %d", o, o.Mirrored(), c)
			}
		}
	}
}
