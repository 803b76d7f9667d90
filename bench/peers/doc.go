// Command peers compares Muster with DuckDB and ClickHouse, on the same data in the same run, each alone on
// the machine while it is measured.
//
// Its nouns: duck (DuckDB, in this process through its Go driver) and click (ClickHouse as chDB, in a Python
// child process that measures its own times). Both are Subjects of package bench and have the tables u and e
// that the SQL of bench.Questions uses: in memory, sorted for these questions.
//
// It must not depend on the internals of Muster: it calls package bench. It is a separate module, so that
// building Muster downloads no database. Start reading at main.go.
package main
