package server

// Node is what the server needs of a running node, part by part. Each interface stands in the file that uses it;
// any number of them may be one implementation.
//
// What the asker is told of an error is that of a *node.Error; a *tree.Diagnostic is the asker's mistake; anything
// else is "internal" and goes to the log only. Every call ends when its ctx does.
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
