// Package bench holds workloads, generators and reports. Sub-packages do the work: gen makes data.
//
// It must not know persist, cluster or the server's insides: what is measured is asked over HTTP or
// in the engine. Start reading at gen.
package bench
