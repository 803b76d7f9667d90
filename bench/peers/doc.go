// Command peers measures Muster beside DuckDB and ClickHouse, on the same data in the same run, each
// alone on the machine while it is asked.
//
// Its nouns: duck (DuckDB, in this process through its Go driver), click (ClickHouse as chDB, a Python
// process of our own that times inside itself). Both are Subjects of package bench and hold the tables
// u and e that the SQL of bench.Questions names: in memory, sorted for these questions.
//
// It must not know how Muster is built: it calls package bench.
// It is a module of its own: nobody who builds Muster downloads a database. Start reading at main.go.
package main
