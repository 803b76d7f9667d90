package server

// Node is what the server needs of a running node. Each interface is declared in the file that uses it;
// one implementation may serve any number of them.
//
// Of errors, clients see the text of a *node.Error and of a *tree.Diagnostic, which is the client's
// mistake. Any other error is answered as "internal" and only goes to the log. Every call ends when its
// ctx ends.
type Node struct {
	Ingest   Ingester
	Query    Asker
	Catalog  Catalog
	Profiles Profiles
	Segments Segments
	Members  Members
	Lists    Lists
	Health   Health
}
