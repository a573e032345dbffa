// Made from manifest.schema.json by scripts/compile-schemas.mjs.
"use strict";
export const validate = validate20;
export default validate20;
const schema31 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"urn:myco:manifest","title":"Myco manifest","description":"What myco.json holds: one service, or several below \"services\".","type":"object","if":{"required":["services"]},"then":{"$ref":"#/$defs/deployment"},"else":{"$ref":"#/$defs/service"},"$defs":{"deployment":{"type":"object","additionalProperties":false,"required":["services"],"properties":{"$schema":{"$ref":"#/$defs/schemaReference"},"services":{"description":"The services to deploy together, each with a name of its own.","type":"array","minItems":1,"maxItems":64,"items":{"$ref":"#/$defs/service"}}}},"service":{"type":"object","additionalProperties":false,"required":["name","exec"],"properties":{"$schema":{"$ref":"#/$defs/schemaReference"},"name":{"description":"The service's name in the cluster, and before .myco in DNS.","x-allowed":"a lower-case letter, then at most 62 letters, digits and hyphens, the last no hyphen","type":"string","pattern":"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"},"flake":{"description":"The Nix flake that provides the program, with its attribute; \".\" is the manifest's own folder. Empty: the program stands on the machine already.","x-allowed":"a flake such as github:OWNER/REPO#NAME","type":"string","maxLength":400,"default":""},"exec":{"description":"The program: an absolute path, or one below the flake's output such as bin/server.","x-allowed":"an absolute path, or one below the flake's output such as bin/server","type":"string","minLength":1,"maxLength":400},"args":{"description":"The program's arguments.","type":"array","maxItems":32,"items":{"description":"One argument.","type":"string","maxLength":400},"default":[]},"env":{"description":"Environment variables by name.","type":"object","maxProperties":32,"propertyNames":{"x-allowed":"letters, digits and _ in a name, the first no digit, at most 64","pattern":"^[A-Za-z_][A-Za-z0-9_]{0,63}$"},"additionalProperties":{"description":"The variable's value.","x-allowed":"a text in double quotes","type":"string","maxLength":400},"default":{}},"ports":{"description":"Where the program listens. The first is its PORT variable.","type":"array","maxItems":16,"items":{"$ref":"#/$defs/port"},"default":[]},"arch":{"description":"Processors it can run on; none named: any.","type":"array","items":{"description":"One kind of processor.","type":"string","enum":["x86_64","aarch64","armv7","riscv64","i686"]},"default":[]},"devices":{"description":"Devices a node must have to run it.","type":"array","maxItems":8,"items":{"description":"One device.","x-allowed":"a path below /dev, such as /dev/dri","type":"string","pattern":"^/dev/"},"default":[]},"zone":{"description":"The only zone it may run in; null: any.","x-allowed":"a zone from 0 to 255, or null for any","type":["integer","null"],"minimum":0,"maximum":255,"default":null},"labels":{"description":"Labels a node must carry to run it, by name.","type":"object","maxProperties":16,"propertyNames":{"x-allowed":"lower-case letters, digits and . _ / - inside a name, at most 63","pattern":"^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$"},"additionalProperties":{"description":"The label's value.","x-allowed":"a text of at most 63 bytes","type":"string","maxLength":63},"default":{}},"replicas":{"description":"How many instances run, on as many nodes; \"all\": one on every node that may run it.","x-allowed":"a number from 1 to 1000, or \"all\"","type":["integer","string"],"minimum":1,"maximum":1000,"pattern":"^all$","default":1},"singleton":{"description":"Stop the only instance rather than risk two while the cluster is split.","type":"boolean","default":false},"health":{"description":"How to tell that an instance is well; without it, one is while it runs.","$ref":"#/$defs/health"},"preStart":{"description":"A program and its arguments that must succeed before each start, such as a migration.","type":"array","maxItems":33,"items":{"description":"The program, then its arguments.","type":"string","maxLength":400},"default":[]},"memory":{"description":"The most memory it may take: a size with K, M, G or T (powers of 1024), or bytes; null: no limit.","x-allowed":"a size such as \"256M\" or \"1G\", a number of bytes, or null for no limit","type":["string","integer","null"],"pattern":"^[1-9][0-9]{0,7}[KMGT]$","minimum":1048576,"default":null},"cpu":{"description":"The most processor time it may take, in percent of one processor; null: no limit.","x-allowed":"a percentage of one processor such as \"50%\" or \"200%\", or null for no limit","type":["string","null"],"pattern":"^[1-9][0-9]{0,5}%$","default":null},"persona":{"description":"What the router takes its traffic for; \"unknown\": it finds out by itself.","type":"string","enum":["unknown","voip","gaming","video","streaming","interactive","web","bulk","torrent","system"],"default":"unknown"},"jit":{"description":"It may make memory executable, as the compilers inside Node, Java and .NET must.","type":"boolean","default":false},"secrets":{"description":"Files of the node's folder of secrets that it finds below $CREDENTIALS_DIRECTORY.","type":"array","maxItems":16,"items":{"$ref":"#/$defs/secret"},"default":[]},"environmentFiles":{"description":"Files of the node's folder of secrets with lines NAME=VALUE for its environment; the last one wins.","type":"array","maxItems":8,"items":{"$ref":"#/$defs/secret"},"default":[]},"restart":{"description":"When it is started again after it ended: always, or only when it failed. A scheduled job is started again at once only by \"on-failure\".","type":"string","enum":["always","on-failure"],"default":"always"},"watchdog":{"description":"It says by sd_notify(3) that it is ready, and then at least so often that it lives, or is started again; null: nobody asks.","x-allowed":"a duration with its unit, such as \"30s\", or null for none","type":["string","null"],"pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":null},"schedule":{"description":"A calendar event of systemd.time(7) at which it runs and ends, such as \"daily\"; empty: it runs all the time.","x-allowed":"a calendar event such as \"daily\", \"Mon..Fri 03:30\" or \"*-*-01 00:00 UTC\"","type":"string","maxLength":100,"default":""},"socketActivated":{"description":"systemd listens on its ports and starts it with the sockets when someone connects (sd_listen_fds(3)).","type":"boolean","default":false},"slice":{"description":"Services of one slice share a cgroup, myco-SLICE.slice, whose limits the node's owner may set; empty: none of its own.","x-allowed":"lower-case letters, digits and hyphens inside, at most 63","type":"string","pattern":"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$","default":""},"network":{"description":"What it may reach: everything, the machine and private networks only, or nothing.","type":"string","enum":["any","local","none"],"default":"any"},"tasks":{"description":"The most processes and threads it may have.","type":"integer","minimum":1,"maximum":32768,"default":100}}},"port":{"description":"A port's number, or its number with more about it.","x-allowed":"a port from 1 to 65535, or an object such as {\"port\": 8080, \"name\": \"http\"}","type":["integer","object"],"minimum":1,"maximum":65535,"additionalProperties":false,"required":["port"],"properties":{"port":{"description":"The number the program listens on.","x-allowed":"a port from 1 to 65535","type":"integer","minimum":1,"maximum":65535},"protocol":{"description":"The transport.","type":"string","enum":["tcp","udp"],"default":"tcp"},"name":{"description":"For SRV names: _NAME._tcp.SERVICE.myco. Empty: it has none.","x-allowed":"a lower-case letter, then at most 14 letters, digits and hyphens","type":"string","pattern":"^([a-z]([a-z0-9-]{0,13}[a-z0-9])?)?$","default":""}}},"health":{"description":"One check, by HTTP, by TCP or by a command.","x-allowed":"exactly one of http, tcp and exec","type":"object","additionalProperties":false,"oneOf":[{"required":["http"]},{"required":["tcp"]},{"required":["exec"]}],"properties":{"http":{"description":"A path that answers GET with a status from 200 to 399.","x-allowed":"a path such as \"/health\"","type":"string","pattern":"^/","maxLength":400},"port":{"description":"The port the path is asked on. Default: the first of the service's ports.","type":"integer","minimum":1,"maximum":65535},"tcp":{"description":"A port that accepts connections.","type":"integer","minimum":1,"maximum":65535},"exec":{"description":"A program and its arguments that exit with 0.","type":"array","minItems":1,"maxItems":33,"items":{"description":"The program, then its arguments.","type":"string","maxLength":400}},"interval":{"description":"Time between checks.","x-allowed":"a duration with its unit, such as \"10s\" or \"500ms\"","type":"string","pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":"10s"},"timeout":{"description":"Time a check may take, no more than the interval.","x-allowed":"a duration with its unit, such as \"3s\" or \"500ms\"","type":"string","pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":"3s"},"grace":{"description":"Time after a start in which failures do not count.","x-allowed":"a duration with its unit, such as \"15s\" or \"2m\"","type":"string","pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":"15s"}}},"secret":{"description":"A file's name.","x-allowed":"letters, digits and . _ - in a file's name, the first a letter or digit, at most 64","type":"string","pattern":"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},"schemaReference":{"description":"Where this schema stands, for editors.","type":"string","default":""}}};
const schema32 = {"type":"object","additionalProperties":false,"required":["services"],"properties":{"$schema":{"$ref":"#/$defs/schemaReference"},"services":{"description":"The services to deploy together, each with a name of its own.","type":"array","minItems":1,"maxItems":64,"items":{"$ref":"#/$defs/service"}}}};
const schema33 = {"description":"Where this schema stands, for editors.","type":"string","default":""};
const schema34 = {"type":"object","additionalProperties":false,"required":["name","exec"],"properties":{"$schema":{"$ref":"#/$defs/schemaReference"},"name":{"description":"The service's name in the cluster, and before .myco in DNS.","x-allowed":"a lower-case letter, then at most 62 letters, digits and hyphens, the last no hyphen","type":"string","pattern":"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"},"flake":{"description":"The Nix flake that provides the program, with its attribute; \".\" is the manifest's own folder. Empty: the program stands on the machine already.","x-allowed":"a flake such as github:OWNER/REPO#NAME","type":"string","maxLength":400,"default":""},"exec":{"description":"The program: an absolute path, or one below the flake's output such as bin/server.","x-allowed":"an absolute path, or one below the flake's output such as bin/server","type":"string","minLength":1,"maxLength":400},"args":{"description":"The program's arguments.","type":"array","maxItems":32,"items":{"description":"One argument.","type":"string","maxLength":400},"default":[]},"env":{"description":"Environment variables by name.","type":"object","maxProperties":32,"propertyNames":{"x-allowed":"letters, digits and _ in a name, the first no digit, at most 64","pattern":"^[A-Za-z_][A-Za-z0-9_]{0,63}$"},"additionalProperties":{"description":"The variable's value.","x-allowed":"a text in double quotes","type":"string","maxLength":400},"default":{}},"ports":{"description":"Where the program listens. The first is its PORT variable.","type":"array","maxItems":16,"items":{"$ref":"#/$defs/port"},"default":[]},"arch":{"description":"Processors it can run on; none named: any.","type":"array","items":{"description":"One kind of processor.","type":"string","enum":["x86_64","aarch64","armv7","riscv64","i686"]},"default":[]},"devices":{"description":"Devices a node must have to run it.","type":"array","maxItems":8,"items":{"description":"One device.","x-allowed":"a path below /dev, such as /dev/dri","type":"string","pattern":"^/dev/"},"default":[]},"zone":{"description":"The only zone it may run in; null: any.","x-allowed":"a zone from 0 to 255, or null for any","type":["integer","null"],"minimum":0,"maximum":255,"default":null},"labels":{"description":"Labels a node must carry to run it, by name.","type":"object","maxProperties":16,"propertyNames":{"x-allowed":"lower-case letters, digits and . _ / - inside a name, at most 63","pattern":"^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$"},"additionalProperties":{"description":"The label's value.","x-allowed":"a text of at most 63 bytes","type":"string","maxLength":63},"default":{}},"replicas":{"description":"How many instances run, on as many nodes; \"all\": one on every node that may run it.","x-allowed":"a number from 1 to 1000, or \"all\"","type":["integer","string"],"minimum":1,"maximum":1000,"pattern":"^all$","default":1},"singleton":{"description":"Stop the only instance rather than risk two while the cluster is split.","type":"boolean","default":false},"health":{"description":"How to tell that an instance is well; without it, one is while it runs.","$ref":"#/$defs/health"},"preStart":{"description":"A program and its arguments that must succeed before each start, such as a migration.","type":"array","maxItems":33,"items":{"description":"The program, then its arguments.","type":"string","maxLength":400},"default":[]},"memory":{"description":"The most memory it may take: a size with K, M, G or T (powers of 1024), or bytes; null: no limit.","x-allowed":"a size such as \"256M\" or \"1G\", a number of bytes, or null for no limit","type":["string","integer","null"],"pattern":"^[1-9][0-9]{0,7}[KMGT]$","minimum":1048576,"default":null},"cpu":{"description":"The most processor time it may take, in percent of one processor; null: no limit.","x-allowed":"a percentage of one processor such as \"50%\" or \"200%\", or null for no limit","type":["string","null"],"pattern":"^[1-9][0-9]{0,5}%$","default":null},"persona":{"description":"What the router takes its traffic for; \"unknown\": it finds out by itself.","type":"string","enum":["unknown","voip","gaming","video","streaming","interactive","web","bulk","torrent","system"],"default":"unknown"},"jit":{"description":"It may make memory executable, as the compilers inside Node, Java and .NET must.","type":"boolean","default":false},"secrets":{"description":"Files of the node's folder of secrets that it finds below $CREDENTIALS_DIRECTORY.","type":"array","maxItems":16,"items":{"$ref":"#/$defs/secret"},"default":[]},"environmentFiles":{"description":"Files of the node's folder of secrets with lines NAME=VALUE for its environment; the last one wins.","type":"array","maxItems":8,"items":{"$ref":"#/$defs/secret"},"default":[]},"restart":{"description":"When it is started again after it ended: always, or only when it failed. A scheduled job is started again at once only by \"on-failure\".","type":"string","enum":["always","on-failure"],"default":"always"},"watchdog":{"description":"It says by sd_notify(3) that it is ready, and then at least so often that it lives, or is started again; null: nobody asks.","x-allowed":"a duration with its unit, such as \"30s\", or null for none","type":["string","null"],"pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":null},"schedule":{"description":"A calendar event of systemd.time(7) at which it runs and ends, such as \"daily\"; empty: it runs all the time.","x-allowed":"a calendar event such as \"daily\", \"Mon..Fri 03:30\" or \"*-*-01 00:00 UTC\"","type":"string","maxLength":100,"default":""},"socketActivated":{"description":"systemd listens on its ports and starts it with the sockets when someone connects (sd_listen_fds(3)).","type":"boolean","default":false},"slice":{"description":"Services of one slice share a cgroup, myco-SLICE.slice, whose limits the node's owner may set; empty: none of its own.","x-allowed":"lower-case letters, digits and hyphens inside, at most 63","type":"string","pattern":"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$","default":""},"network":{"description":"What it may reach: everything, the machine and private networks only, or nothing.","type":"string","enum":["any","local","none"],"default":"any"},"tasks":{"description":"The most processes and threads it may have.","type":"integer","minimum":1,"maximum":32768,"default":100}}};
const schema36 = {"description":"A port's number, or its number with more about it.","x-allowed":"a port from 1 to 65535, or an object such as {\"port\": 8080, \"name\": \"http\"}","type":["integer","object"],"minimum":1,"maximum":65535,"additionalProperties":false,"required":["port"],"properties":{"port":{"description":"The number the program listens on.","x-allowed":"a port from 1 to 65535","type":"integer","minimum":1,"maximum":65535},"protocol":{"description":"The transport.","type":"string","enum":["tcp","udp"],"default":"tcp"},"name":{"description":"For SRV names: _NAME._tcp.SERVICE.myco. Empty: it has none.","x-allowed":"a lower-case letter, then at most 14 letters, digits and hyphens","type":"string","pattern":"^([a-z]([a-z0-9-]{0,13}[a-z0-9])?)?$","default":""}}};
const schema37 = {"description":"One check, by HTTP, by TCP or by a command.","x-allowed":"exactly one of http, tcp and exec","type":"object","additionalProperties":false,"oneOf":[{"required":["http"]},{"required":["tcp"]},{"required":["exec"]}],"properties":{"http":{"description":"A path that answers GET with a status from 200 to 399.","x-allowed":"a path such as \"/health\"","type":"string","pattern":"^/","maxLength":400},"port":{"description":"The port the path is asked on. Default: the first of the service's ports.","type":"integer","minimum":1,"maximum":65535},"tcp":{"description":"A port that accepts connections.","type":"integer","minimum":1,"maximum":65535},"exec":{"description":"A program and its arguments that exit with 0.","type":"array","minItems":1,"maxItems":33,"items":{"description":"The program, then its arguments.","type":"string","maxLength":400}},"interval":{"description":"Time between checks.","x-allowed":"a duration with its unit, such as \"10s\" or \"500ms\"","type":"string","pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":"10s"},"timeout":{"description":"Time a check may take, no more than the interval.","x-allowed":"a duration with its unit, such as \"3s\" or \"500ms\"","type":"string","pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":"3s"},"grace":{"description":"Time after a start in which failures do not count.","x-allowed":"a duration with its unit, such as \"15s\" or \"2m\"","type":"string","pattern":"^[0-9]{1,8}(ms|s|m|h)$","default":"15s"}}};
const schema38 = {"description":"A file's name.","x-allowed":"letters, digits and . _ - in a file's name, the first a letter or digit, at most 64","type":"string","pattern":"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"};
const func1 = Object.prototype.hasOwnProperty;
const pattern4 = new RegExp("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", "u");
const pattern5 = new RegExp("^[A-Za-z_][A-Za-z0-9_]{0,63}$", "u");
const pattern6 = new RegExp("^([a-z]([a-z0-9-]{0,13}[a-z0-9])?)?$", "u");
const pattern7 = new RegExp("^/dev/", "u");
const pattern8 = new RegExp("^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$", "u");
const pattern9 = new RegExp("^all$", "u");
const pattern10 = new RegExp("^/", "u");
const pattern11 = new RegExp("^[0-9]{1,8}(ms|s|m|h)$", "u");
const pattern14 = new RegExp("^[1-9][0-9]{0,7}[KMGT]$", "u");
const pattern15 = new RegExp("^[1-9][0-9]{0,5}%$", "u");
const pattern16 = new RegExp("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "u");
const pattern19 = new RegExp("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$", "u");

function validate22(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate22.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(data && typeof data == "object" && !Array.isArray(data)){
if(data.name === undefined){
const err0 = {instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: "name"},schema:schema34.required,parentSchema:schema34,data};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
if(data.exec === undefined){
const err1 = {instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: "exec"},schema:schema34.required,parentSchema:schema34,data};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
}
for(const key0 in data){
if(!(func1.call(schema34.properties, key0))){
const err2 = {instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},schema:false,parentSchema:schema34,data};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
}
if(data.$schema !== undefined){
let data0 = data.$schema;
if(typeof data0 !== "string"){
const err3 = {instancePath:instancePath+"/$schema",schemaPath:"#/$defs/schemaReference/type",keyword:"type",params:{type: "string"},schema:schema33.type,parentSchema:schema33,data:data0};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
}
if(data.name !== undefined){
let data1 = data.name;
if(typeof data1 === "string"){
if(!pattern4.test(data1)){
const err4 = {instancePath:instancePath+"/name",schemaPath:"#/properties/name/pattern",keyword:"pattern",params:{pattern: "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"},schema:"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",parentSchema:schema34.properties.name,data:data1};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
}
else {
const err5 = {instancePath:instancePath+"/name",schemaPath:"#/properties/name/type",keyword:"type",params:{type: "string"},schema:schema34.properties.name.type,parentSchema:schema34.properties.name,data:data1};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
if(data.flake !== undefined){
let data2 = data.flake;
if(typeof data2 === "string"){
if(data2.length > 400){
const err6 = {instancePath:instancePath+"/flake",schemaPath:"#/properties/flake/maxLength",keyword:"maxLength",params:{limit: 400},schema:400,parentSchema:schema34.properties.flake,data:data2};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
}
else {
const err7 = {instancePath:instancePath+"/flake",schemaPath:"#/properties/flake/type",keyword:"type",params:{type: "string"},schema:schema34.properties.flake.type,parentSchema:schema34.properties.flake,data:data2};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
}
if(data.exec !== undefined){
let data3 = data.exec;
if(typeof data3 === "string"){
if(data3.length > 400){
const err8 = {instancePath:instancePath+"/exec",schemaPath:"#/properties/exec/maxLength",keyword:"maxLength",params:{limit: 400},schema:400,parentSchema:schema34.properties.exec,data:data3};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
}
if(data3.length < 1){
const err9 = {instancePath:instancePath+"/exec",schemaPath:"#/properties/exec/minLength",keyword:"minLength",params:{limit: 1},schema:1,parentSchema:schema34.properties.exec,data:data3};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
}
else {
const err10 = {instancePath:instancePath+"/exec",schemaPath:"#/properties/exec/type",keyword:"type",params:{type: "string"},schema:schema34.properties.exec.type,parentSchema:schema34.properties.exec,data:data3};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
}
}
if(data.args !== undefined){
let data4 = data.args;
if(Array.isArray(data4)){
if(data4.length > 32){
const err11 = {instancePath:instancePath+"/args",schemaPath:"#/properties/args/maxItems",keyword:"maxItems",params:{limit: 32},schema:32,parentSchema:schema34.properties.args,data:data4};
if(vErrors === null){
vErrors = [err11];
}
else {
vErrors.push(err11);
}
errors++;
}
const len0 = data4.length;
for(let i0=0; i0<len0; i0++){
let data5 = data4[i0];
if(typeof data5 === "string"){
if(data5.length > 400){
const err12 = {instancePath:instancePath+"/args/" + i0,schemaPath:"#/properties/args/items/maxLength",keyword:"maxLength",params:{limit: 400},schema:400,parentSchema:schema34.properties.args.items,data:data5};
if(vErrors === null){
vErrors = [err12];
}
else {
vErrors.push(err12);
}
errors++;
}
}
else {
const err13 = {instancePath:instancePath+"/args/" + i0,schemaPath:"#/properties/args/items/type",keyword:"type",params:{type: "string"},schema:schema34.properties.args.items.type,parentSchema:schema34.properties.args.items,data:data5};
if(vErrors === null){
vErrors = [err13];
}
else {
vErrors.push(err13);
}
errors++;
}
}
}
else {
const err14 = {instancePath:instancePath+"/args",schemaPath:"#/properties/args/type",keyword:"type",params:{type: "array"},schema:schema34.properties.args.type,parentSchema:schema34.properties.args,data:data4};
if(vErrors === null){
vErrors = [err14];
}
else {
vErrors.push(err14);
}
errors++;
}
}
if(data.env !== undefined){
let data6 = data.env;
if(data6 && typeof data6 == "object" && !Array.isArray(data6)){
if(Object.keys(data6).length > 32){
const err15 = {instancePath:instancePath+"/env",schemaPath:"#/properties/env/maxProperties",keyword:"maxProperties",params:{limit: 32},schema:32,parentSchema:schema34.properties.env,data:data6};
if(vErrors === null){
vErrors = [err15];
}
else {
vErrors.push(err15);
}
errors++;
}
for(const key1 in data6){
const _errs17 = errors;
if(typeof key1 === "string"){
if(!pattern5.test(key1)){
const err16 = {instancePath:instancePath+"/env",schemaPath:"#/properties/env/propertyNames/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},schema:"^[A-Za-z_][A-Za-z0-9_]{0,63}$",parentSchema:schema34.properties.env.propertyNames,data:key1,propertyName:key1};
if(vErrors === null){
vErrors = [err16];
}
else {
vErrors.push(err16);
}
errors++;
}
}
var valid4 = _errs17 === errors;
if(!valid4){
const err17 = {instancePath:instancePath+"/env",schemaPath:"#/properties/env/propertyNames",keyword:"propertyNames",params:{propertyName: key1},schema:schema34.properties.env.propertyNames,parentSchema:schema34.properties.env,data:data6};
if(vErrors === null){
vErrors = [err17];
}
else {
vErrors.push(err17);
}
errors++;
}
}
for(const key2 in data6){
let data7 = data6[key2];
if(typeof data7 === "string"){
if(data7.length > 400){
const err18 = {instancePath:instancePath+"/env/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"#/properties/env/additionalProperties/maxLength",keyword:"maxLength",params:{limit: 400},schema:400,parentSchema:schema34.properties.env.additionalProperties,data:data7};
if(vErrors === null){
vErrors = [err18];
}
else {
vErrors.push(err18);
}
errors++;
}
}
else {
const err19 = {instancePath:instancePath+"/env/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"#/properties/env/additionalProperties/type",keyword:"type",params:{type: "string"},schema:schema34.properties.env.additionalProperties.type,parentSchema:schema34.properties.env.additionalProperties,data:data7};
if(vErrors === null){
vErrors = [err19];
}
else {
vErrors.push(err19);
}
errors++;
}
}
}
else {
const err20 = {instancePath:instancePath+"/env",schemaPath:"#/properties/env/type",keyword:"type",params:{type: "object"},schema:schema34.properties.env.type,parentSchema:schema34.properties.env,data:data6};
if(vErrors === null){
vErrors = [err20];
}
else {
vErrors.push(err20);
}
errors++;
}
}
if(data.ports !== undefined){
let data8 = data.ports;
if(Array.isArray(data8)){
if(data8.length > 16){
const err21 = {instancePath:instancePath+"/ports",schemaPath:"#/properties/ports/maxItems",keyword:"maxItems",params:{limit: 16},schema:16,parentSchema:schema34.properties.ports,data:data8};
if(vErrors === null){
vErrors = [err21];
}
else {
vErrors.push(err21);
}
errors++;
}
const len1 = data8.length;
for(let i1=0; i1<len1; i1++){
let data9 = data8[i1];
if((!(((typeof data9 == "number") && (!(data9 % 1) && !isNaN(data9))) && (isFinite(data9)))) && (!(data9 && typeof data9 == "object" && !Array.isArray(data9)))){
const err22 = {instancePath:instancePath+"/ports/" + i1,schemaPath:"#/$defs/port/type",keyword:"type",params:{type: schema36.type},schema:schema36.type,parentSchema:schema36,data:data9};
if(vErrors === null){
vErrors = [err22];
}
else {
vErrors.push(err22);
}
errors++;
}
if((typeof data9 == "number") && (isFinite(data9))){
if(data9 > 65535 || isNaN(data9)){
const err23 = {instancePath:instancePath+"/ports/" + i1,schemaPath:"#/$defs/port/maximum",keyword:"maximum",params:{comparison: "<=", limit: 65535},schema:65535,parentSchema:schema36,data:data9};
if(vErrors === null){
vErrors = [err23];
}
else {
vErrors.push(err23);
}
errors++;
}
if(data9 < 1 || isNaN(data9)){
const err24 = {instancePath:instancePath+"/ports/" + i1,schemaPath:"#/$defs/port/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},schema:1,parentSchema:schema36,data:data9};
if(vErrors === null){
vErrors = [err24];
}
else {
vErrors.push(err24);
}
errors++;
}
}
if(data9 && typeof data9 == "object" && !Array.isArray(data9)){
if(data9.port === undefined){
const err25 = {instancePath:instancePath+"/ports/" + i1,schemaPath:"#/$defs/port/required",keyword:"required",params:{missingProperty: "port"},schema:schema36.required,parentSchema:schema36,data:data9};
if(vErrors === null){
vErrors = [err25];
}
else {
vErrors.push(err25);
}
errors++;
}
for(const key3 in data9){
if(!(((key3 === "port") || (key3 === "protocol")) || (key3 === "name"))){
const err26 = {instancePath:instancePath+"/ports/" + i1,schemaPath:"#/$defs/port/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key3},schema:false,parentSchema:schema36,data:data9};
if(vErrors === null){
vErrors = [err26];
}
else {
vErrors.push(err26);
}
errors++;
}
}
if(data9.port !== undefined){
let data10 = data9.port;
if(!(((typeof data10 == "number") && (!(data10 % 1) && !isNaN(data10))) && (isFinite(data10)))){
const err27 = {instancePath:instancePath+"/ports/" + i1+"/port",schemaPath:"#/$defs/port/properties/port/type",keyword:"type",params:{type: "integer"},schema:schema36.properties.port.type,parentSchema:schema36.properties.port,data:data10};
if(vErrors === null){
vErrors = [err27];
}
else {
vErrors.push(err27);
}
errors++;
}
if((typeof data10 == "number") && (isFinite(data10))){
if(data10 > 65535 || isNaN(data10)){
const err28 = {instancePath:instancePath+"/ports/" + i1+"/port",schemaPath:"#/$defs/port/properties/port/maximum",keyword:"maximum",params:{comparison: "<=", limit: 65535},schema:65535,parentSchema:schema36.properties.port,data:data10};
if(vErrors === null){
vErrors = [err28];
}
else {
vErrors.push(err28);
}
errors++;
}
if(data10 < 1 || isNaN(data10)){
const err29 = {instancePath:instancePath+"/ports/" + i1+"/port",schemaPath:"#/$defs/port/properties/port/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},schema:1,parentSchema:schema36.properties.port,data:data10};
if(vErrors === null){
vErrors = [err29];
}
else {
vErrors.push(err29);
}
errors++;
}
}
}
if(data9.protocol !== undefined){
let data11 = data9.protocol;
if(typeof data11 !== "string"){
const err30 = {instancePath:instancePath+"/ports/" + i1+"/protocol",schemaPath:"#/$defs/port/properties/protocol/type",keyword:"type",params:{type: "string"},schema:schema36.properties.protocol.type,parentSchema:schema36.properties.protocol,data:data11};
if(vErrors === null){
vErrors = [err30];
}
else {
vErrors.push(err30);
}
errors++;
}
if(!((data11 === "tcp") || (data11 === "udp"))){
const err31 = {instancePath:instancePath+"/ports/" + i1+"/protocol",schemaPath:"#/$defs/port/properties/protocol/enum",keyword:"enum",params:{allowedValues: schema36.properties.protocol.enum},schema:schema36.properties.protocol.enum,parentSchema:schema36.properties.protocol,data:data11};
if(vErrors === null){
vErrors = [err31];
}
else {
vErrors.push(err31);
}
errors++;
}
}
if(data9.name !== undefined){
let data12 = data9.name;
if(typeof data12 === "string"){
if(!pattern6.test(data12)){
const err32 = {instancePath:instancePath+"/ports/" + i1+"/name",schemaPath:"#/$defs/port/properties/name/pattern",keyword:"pattern",params:{pattern: "^([a-z]([a-z0-9-]{0,13}[a-z0-9])?)?$"},schema:"^([a-z]([a-z0-9-]{0,13}[a-z0-9])?)?$",parentSchema:schema36.properties.name,data:data12};
if(vErrors === null){
vErrors = [err32];
}
else {
vErrors.push(err32);
}
errors++;
}
}
else {
const err33 = {instancePath:instancePath+"/ports/" + i1+"/name",schemaPath:"#/$defs/port/properties/name/type",keyword:"type",params:{type: "string"},schema:schema36.properties.name.type,parentSchema:schema36.properties.name,data:data12};
if(vErrors === null){
vErrors = [err33];
}
else {
vErrors.push(err33);
}
errors++;
}
}
}
}
}
else {
const err34 = {instancePath:instancePath+"/ports",schemaPath:"#/properties/ports/type",keyword:"type",params:{type: "array"},schema:schema34.properties.ports.type,parentSchema:schema34.properties.ports,data:data8};
if(vErrors === null){
vErrors = [err34];
}
else {
vErrors.push(err34);
}
errors++;
}
}
if(data.arch !== undefined){
let data13 = data.arch;
if(Array.isArray(data13)){
const len2 = data13.length;
for(let i2=0; i2<len2; i2++){
let data14 = data13[i2];
if(typeof data14 !== "string"){
const err35 = {instancePath:instancePath+"/arch/" + i2,schemaPath:"#/properties/arch/items/type",keyword:"type",params:{type: "string"},schema:schema34.properties.arch.items.type,parentSchema:schema34.properties.arch.items,data:data14};
if(vErrors === null){
vErrors = [err35];
}
else {
vErrors.push(err35);
}
errors++;
}
if(!(((((data14 === "x86_64") || (data14 === "aarch64")) || (data14 === "armv7")) || (data14 === "riscv64")) || (data14 === "i686"))){
const err36 = {instancePath:instancePath+"/arch/" + i2,schemaPath:"#/properties/arch/items/enum",keyword:"enum",params:{allowedValues: schema34.properties.arch.items.enum},schema:schema34.properties.arch.items.enum,parentSchema:schema34.properties.arch.items,data:data14};
if(vErrors === null){
vErrors = [err36];
}
else {
vErrors.push(err36);
}
errors++;
}
}
}
else {
const err37 = {instancePath:instancePath+"/arch",schemaPath:"#/properties/arch/type",keyword:"type",params:{type: "array"},schema:schema34.properties.arch.type,parentSchema:schema34.properties.arch,data:data13};
if(vErrors === null){
vErrors = [err37];
}
else {
vErrors.push(err37);
}
errors++;
}
}
if(data.devices !== undefined){
let data15 = data.devices;
if(Array.isArray(data15)){
if(data15.length > 8){
const err38 = {instancePath:instancePath+"/devices",schemaPath:"#/properties/devices/maxItems",keyword:"maxItems",params:{limit: 8},schema:8,parentSchema:schema34.properties.devices,data:data15};
if(vErrors === null){
vErrors = [err38];
}
else {
vErrors.push(err38);
}
errors++;
}
const len3 = data15.length;
for(let i3=0; i3<len3; i3++){
let data16 = data15[i3];
if(typeof data16 === "string"){
if(!pattern7.test(data16)){
const err39 = {instancePath:instancePath+"/devices/" + i3,schemaPath:"#/properties/devices/items/pattern",keyword:"pattern",params:{pattern: "^/dev/"},schema:"^/dev/",parentSchema:schema34.properties.devices.items,data:data16};
if(vErrors === null){
vErrors = [err39];
}
else {
vErrors.push(err39);
}
errors++;
}
}
else {
const err40 = {instancePath:instancePath+"/devices/" + i3,schemaPath:"#/properties/devices/items/type",keyword:"type",params:{type: "string"},schema:schema34.properties.devices.items.type,parentSchema:schema34.properties.devices.items,data:data16};
if(vErrors === null){
vErrors = [err40];
}
else {
vErrors.push(err40);
}
errors++;
}
}
}
else {
const err41 = {instancePath:instancePath+"/devices",schemaPath:"#/properties/devices/type",keyword:"type",params:{type: "array"},schema:schema34.properties.devices.type,parentSchema:schema34.properties.devices,data:data15};
if(vErrors === null){
vErrors = [err41];
}
else {
vErrors.push(err41);
}
errors++;
}
}
if(data.zone !== undefined){
let data17 = data.zone;
if((!(((typeof data17 == "number") && (!(data17 % 1) && !isNaN(data17))) && (isFinite(data17)))) && (data17 !== null)){
const err42 = {instancePath:instancePath+"/zone",schemaPath:"#/properties/zone/type",keyword:"type",params:{type: schema34.properties.zone.type},schema:schema34.properties.zone.type,parentSchema:schema34.properties.zone,data:data17};
if(vErrors === null){
vErrors = [err42];
}
else {
vErrors.push(err42);
}
errors++;
}
if((typeof data17 == "number") && (isFinite(data17))){
if(data17 > 255 || isNaN(data17)){
const err43 = {instancePath:instancePath+"/zone",schemaPath:"#/properties/zone/maximum",keyword:"maximum",params:{comparison: "<=", limit: 255},schema:255,parentSchema:schema34.properties.zone,data:data17};
if(vErrors === null){
vErrors = [err43];
}
else {
vErrors.push(err43);
}
errors++;
}
if(data17 < 0 || isNaN(data17)){
const err44 = {instancePath:instancePath+"/zone",schemaPath:"#/properties/zone/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},schema:0,parentSchema:schema34.properties.zone,data:data17};
if(vErrors === null){
vErrors = [err44];
}
else {
vErrors.push(err44);
}
errors++;
}
}
}
if(data.labels !== undefined){
let data18 = data.labels;
if(data18 && typeof data18 == "object" && !Array.isArray(data18)){
if(Object.keys(data18).length > 16){
const err45 = {instancePath:instancePath+"/labels",schemaPath:"#/properties/labels/maxProperties",keyword:"maxProperties",params:{limit: 16},schema:16,parentSchema:schema34.properties.labels,data:data18};
if(vErrors === null){
vErrors = [err45];
}
else {
vErrors.push(err45);
}
errors++;
}
for(const key4 in data18){
const _errs45 = errors;
if(typeof key4 === "string"){
if(!pattern8.test(key4)){
const err46 = {instancePath:instancePath+"/labels",schemaPath:"#/properties/labels/propertyNames/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$"},schema:"^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$",parentSchema:schema34.properties.labels.propertyNames,data:key4,propertyName:key4};
if(vErrors === null){
vErrors = [err46];
}
else {
vErrors.push(err46);
}
errors++;
}
}
var valid14 = _errs45 === errors;
if(!valid14){
const err47 = {instancePath:instancePath+"/labels",schemaPath:"#/properties/labels/propertyNames",keyword:"propertyNames",params:{propertyName: key4},schema:schema34.properties.labels.propertyNames,parentSchema:schema34.properties.labels,data:data18};
if(vErrors === null){
vErrors = [err47];
}
else {
vErrors.push(err47);
}
errors++;
}
}
for(const key5 in data18){
let data19 = data18[key5];
if(typeof data19 === "string"){
if(data19.length > 63){
const err48 = {instancePath:instancePath+"/labels/" + key5.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"#/properties/labels/additionalProperties/maxLength",keyword:"maxLength",params:{limit: 63},schema:63,parentSchema:schema34.properties.labels.additionalProperties,data:data19};
if(vErrors === null){
vErrors = [err48];
}
else {
vErrors.push(err48);
}
errors++;
}
}
else {
const err49 = {instancePath:instancePath+"/labels/" + key5.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"#/properties/labels/additionalProperties/type",keyword:"type",params:{type: "string"},schema:schema34.properties.labels.additionalProperties.type,parentSchema:schema34.properties.labels.additionalProperties,data:data19};
if(vErrors === null){
vErrors = [err49];
}
else {
vErrors.push(err49);
}
errors++;
}
}
}
else {
const err50 = {instancePath:instancePath+"/labels",schemaPath:"#/properties/labels/type",keyword:"type",params:{type: "object"},schema:schema34.properties.labels.type,parentSchema:schema34.properties.labels,data:data18};
if(vErrors === null){
vErrors = [err50];
}
else {
vErrors.push(err50);
}
errors++;
}
}
if(data.replicas !== undefined){
let data20 = data.replicas;
if((!(((typeof data20 == "number") && (!(data20 % 1) && !isNaN(data20))) && (isFinite(data20)))) && (typeof data20 !== "string")){
const err51 = {instancePath:instancePath+"/replicas",schemaPath:"#/properties/replicas/type",keyword:"type",params:{type: schema34.properties.replicas.type},schema:schema34.properties.replicas.type,parentSchema:schema34.properties.replicas,data:data20};
if(vErrors === null){
vErrors = [err51];
}
else {
vErrors.push(err51);
}
errors++;
}
if((typeof data20 == "number") && (isFinite(data20))){
if(data20 > 1000 || isNaN(data20)){
const err52 = {instancePath:instancePath+"/replicas",schemaPath:"#/properties/replicas/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000},schema:1000,parentSchema:schema34.properties.replicas,data:data20};
if(vErrors === null){
vErrors = [err52];
}
else {
vErrors.push(err52);
}
errors++;
}
if(data20 < 1 || isNaN(data20)){
const err53 = {instancePath:instancePath+"/replicas",schemaPath:"#/properties/replicas/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},schema:1,parentSchema:schema34.properties.replicas,data:data20};
if(vErrors === null){
vErrors = [err53];
}
else {
vErrors.push(err53);
}
errors++;
}
}
if(typeof data20 === "string"){
if(!pattern9.test(data20)){
const err54 = {instancePath:instancePath+"/replicas",schemaPath:"#/properties/replicas/pattern",keyword:"pattern",params:{pattern: "^all$"},schema:"^all$",parentSchema:schema34.properties.replicas,data:data20};
if(vErrors === null){
vErrors = [err54];
}
else {
vErrors.push(err54);
}
errors++;
}
}
}
if(data.singleton !== undefined){
let data21 = data.singleton;
if(typeof data21 !== "boolean"){
const err55 = {instancePath:instancePath+"/singleton",schemaPath:"#/properties/singleton/type",keyword:"type",params:{type: "boolean"},schema:schema34.properties.singleton.type,parentSchema:schema34.properties.singleton,data:data21};
if(vErrors === null){
vErrors = [err55];
}
else {
vErrors.push(err55);
}
errors++;
}
}
if(data.health !== undefined){
let data22 = data.health;
const _errs56 = errors;
let valid17 = false;
let passing0 = null;
const _errs57 = errors;
if(data22 && typeof data22 == "object" && !Array.isArray(data22)){
if(data22.http === undefined){
const err56 = {instancePath:instancePath+"/health",schemaPath:"#/$defs/health/oneOf/0/required",keyword:"required",params:{missingProperty: "http"},schema:schema37.oneOf[0].required,parentSchema:schema37.oneOf[0],data:data22};
if(vErrors === null){
vErrors = [err56];
}
else {
vErrors.push(err56);
}
errors++;
}
}
var _valid0 = _errs57 === errors;
if(_valid0){
valid17 = true;
passing0 = 0;
}
const _errs58 = errors;
if(data22 && typeof data22 == "object" && !Array.isArray(data22)){
if(data22.tcp === undefined){
const err57 = {instancePath:instancePath+"/health",schemaPath:"#/$defs/health/oneOf/1/required",keyword:"required",params:{missingProperty: "tcp"},schema:schema37.oneOf[1].required,parentSchema:schema37.oneOf[1],data:data22};
if(vErrors === null){
vErrors = [err57];
}
else {
vErrors.push(err57);
}
errors++;
}
}
var _valid0 = _errs58 === errors;
if(_valid0 && valid17){
valid17 = false;
passing0 = [passing0, 1];
}
else {
if(_valid0){
valid17 = true;
passing0 = 1;
}
const _errs59 = errors;
if(data22 && typeof data22 == "object" && !Array.isArray(data22)){
if(data22.exec === undefined){
const err58 = {instancePath:instancePath+"/health",schemaPath:"#/$defs/health/oneOf/2/required",keyword:"required",params:{missingProperty: "exec"},schema:schema37.oneOf[2].required,parentSchema:schema37.oneOf[2],data:data22};
if(vErrors === null){
vErrors = [err58];
}
else {
vErrors.push(err58);
}
errors++;
}
}
var _valid0 = _errs59 === errors;
if(_valid0 && valid17){
valid17 = false;
passing0 = [passing0, 2];
}
else {
if(_valid0){
valid17 = true;
passing0 = 2;
}
}
}
if(!valid17){
const err59 = {instancePath:instancePath+"/health",schemaPath:"#/$defs/health/oneOf",keyword:"oneOf",params:{passingSchemas: passing0},schema:schema37.oneOf,parentSchema:schema37,data:data22};
if(vErrors === null){
vErrors = [err59];
}
else {
vErrors.push(err59);
}
errors++;
}
else {
errors = _errs56;
if(vErrors !== null){
if(_errs56){
vErrors.length = _errs56;
}
else {
vErrors = null;
}
}
}
if(data22 && typeof data22 == "object" && !Array.isArray(data22)){
for(const key6 in data22){
if(!(((((((key6 === "http") || (key6 === "port")) || (key6 === "tcp")) || (key6 === "exec")) || (key6 === "interval")) || (key6 === "timeout")) || (key6 === "grace"))){
const err60 = {instancePath:instancePath+"/health",schemaPath:"#/$defs/health/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key6},schema:false,parentSchema:schema37,data:data22};
if(vErrors === null){
vErrors = [err60];
}
else {
vErrors.push(err60);
}
errors++;
}
}
if(data22.http !== undefined){
let data23 = data22.http;
if(typeof data23 === "string"){
if(data23.length > 400){
const err61 = {instancePath:instancePath+"/health/http",schemaPath:"#/$defs/health/properties/http/maxLength",keyword:"maxLength",params:{limit: 400},schema:400,parentSchema:schema37.properties.http,data:data23};
if(vErrors === null){
vErrors = [err61];
}
else {
vErrors.push(err61);
}
errors++;
}
if(!pattern10.test(data23)){
const err62 = {instancePath:instancePath+"/health/http",schemaPath:"#/$defs/health/properties/http/pattern",keyword:"pattern",params:{pattern: "^/"},schema:"^/",parentSchema:schema37.properties.http,data:data23};
if(vErrors === null){
vErrors = [err62];
}
else {
vErrors.push(err62);
}
errors++;
}
}
else {
const err63 = {instancePath:instancePath+"/health/http",schemaPath:"#/$defs/health/properties/http/type",keyword:"type",params:{type: "string"},schema:schema37.properties.http.type,parentSchema:schema37.properties.http,data:data23};
if(vErrors === null){
vErrors = [err63];
}
else {
vErrors.push(err63);
}
errors++;
}
}
if(data22.port !== undefined){
let data24 = data22.port;
if(!(((typeof data24 == "number") && (!(data24 % 1) && !isNaN(data24))) && (isFinite(data24)))){
const err64 = {instancePath:instancePath+"/health/port",schemaPath:"#/$defs/health/properties/port/type",keyword:"type",params:{type: "integer"},schema:schema37.properties.port.type,parentSchema:schema37.properties.port,data:data24};
if(vErrors === null){
vErrors = [err64];
}
else {
vErrors.push(err64);
}
errors++;
}
if((typeof data24 == "number") && (isFinite(data24))){
if(data24 > 65535 || isNaN(data24)){
const err65 = {instancePath:instancePath+"/health/port",schemaPath:"#/$defs/health/properties/port/maximum",keyword:"maximum",params:{comparison: "<=", limit: 65535},schema:65535,parentSchema:schema37.properties.port,data:data24};
if(vErrors === null){
vErrors = [err65];
}
else {
vErrors.push(err65);
}
errors++;
}
if(data24 < 1 || isNaN(data24)){
const err66 = {instancePath:instancePath+"/health/port",schemaPath:"#/$defs/health/properties/port/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},schema:1,parentSchema:schema37.properties.port,data:data24};
if(vErrors === null){
vErrors = [err66];
}
else {
vErrors.push(err66);
}
errors++;
}
}
}
if(data22.tcp !== undefined){
let data25 = data22.tcp;
if(!(((typeof data25 == "number") && (!(data25 % 1) && !isNaN(data25))) && (isFinite(data25)))){
const err67 = {instancePath:instancePath+"/health/tcp",schemaPath:"#/$defs/health/properties/tcp/type",keyword:"type",params:{type: "integer"},schema:schema37.properties.tcp.type,parentSchema:schema37.properties.tcp,data:data25};
if(vErrors === null){
vErrors = [err67];
}
else {
vErrors.push(err67);
}
errors++;
}
if((typeof data25 == "number") && (isFinite(data25))){
if(data25 > 65535 || isNaN(data25)){
const err68 = {instancePath:instancePath+"/health/tcp",schemaPath:"#/$defs/health/properties/tcp/maximum",keyword:"maximum",params:{comparison: "<=", limit: 65535},schema:65535,parentSchema:schema37.properties.tcp,data:data25};
if(vErrors === null){
vErrors = [err68];
}
else {
vErrors.push(err68);
}
errors++;
}
if(data25 < 1 || isNaN(data25)){
const err69 = {instancePath:instancePath+"/health/tcp",schemaPath:"#/$defs/health/properties/tcp/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},schema:1,parentSchema:schema37.properties.tcp,data:data25};
if(vErrors === null){
vErrors = [err69];
}
else {
vErrors.push(err69);
}
errors++;
}
}
}
if(data22.exec !== undefined){
let data26 = data22.exec;
if(Array.isArray(data26)){
if(data26.length > 33){
const err70 = {instancePath:instancePath+"/health/exec",schemaPath:"#/$defs/health/properties/exec/maxItems",keyword:"maxItems",params:{limit: 33},schema:33,parentSchema:schema37.properties.exec,data:data26};
if(vErrors === null){
vErrors = [err70];
}
else {
vErrors.push(err70);
}
errors++;
}
if(data26.length < 1){
const err71 = {instancePath:instancePath+"/health/exec",schemaPath:"#/$defs/health/properties/exec/minItems",keyword:"minItems",params:{limit: 1},schema:1,parentSchema:schema37.properties.exec,data:data26};
if(vErrors === null){
vErrors = [err71];
}
else {
vErrors.push(err71);
}
errors++;
}
const len4 = data26.length;
for(let i4=0; i4<len4; i4++){
let data27 = data26[i4];
if(typeof data27 === "string"){
if(data27.length > 400){
const err72 = {instancePath:instancePath+"/health/exec/" + i4,schemaPath:"#/$defs/health/properties/exec/items/maxLength",keyword:"maxLength",params:{limit: 400},schema:400,parentSchema:schema37.properties.exec.items,data:data27};
if(vErrors === null){
vErrors = [err72];
}
else {
vErrors.push(err72);
}
errors++;
}
}
else {
const err73 = {instancePath:instancePath+"/health/exec/" + i4,schemaPath:"#/$defs/health/properties/exec/items/type",keyword:"type",params:{type: "string"},schema:schema37.properties.exec.items.type,parentSchema:schema37.properties.exec.items,data:data27};
if(vErrors === null){
vErrors = [err73];
}
else {
vErrors.push(err73);
}
errors++;
}
}
}
else {
const err74 = {instancePath:instancePath+"/health/exec",schemaPath:"#/$defs/health/properties/exec/type",keyword:"type",params:{type: "array"},schema:schema37.properties.exec.type,parentSchema:schema37.properties.exec,data:data26};
if(vErrors === null){
vErrors = [err74];
}
else {
vErrors.push(err74);
}
errors++;
}
}
if(data22.interval !== undefined){
let data28 = data22.interval;
if(typeof data28 === "string"){
if(!pattern11.test(data28)){
const err75 = {instancePath:instancePath+"/health/interval",schemaPath:"#/$defs/health/properties/interval/pattern",keyword:"pattern",params:{pattern: "^[0-9]{1,8}(ms|s|m|h)$"},schema:"^[0-9]{1,8}(ms|s|m|h)$",parentSchema:schema37.properties.interval,data:data28};
if(vErrors === null){
vErrors = [err75];
}
else {
vErrors.push(err75);
}
errors++;
}
}
else {
const err76 = {instancePath:instancePath+"/health/interval",schemaPath:"#/$defs/health/properties/interval/type",keyword:"type",params:{type: "string"},schema:schema37.properties.interval.type,parentSchema:schema37.properties.interval,data:data28};
if(vErrors === null){
vErrors = [err76];
}
else {
vErrors.push(err76);
}
errors++;
}
}
if(data22.timeout !== undefined){
let data29 = data22.timeout;
if(typeof data29 === "string"){
if(!pattern11.test(data29)){
const err77 = {instancePath:instancePath+"/health/timeout",schemaPath:"#/$defs/health/properties/timeout/pattern",keyword:"pattern",params:{pattern: "^[0-9]{1,8}(ms|s|m|h)$"},schema:"^[0-9]{1,8}(ms|s|m|h)$",parentSchema:schema37.properties.timeout,data:data29};
if(vErrors === null){
vErrors = [err77];
}
else {
vErrors.push(err77);
}
errors++;
}
}
else {
const err78 = {instancePath:instancePath+"/health/timeout",schemaPath:"#/$defs/health/properties/timeout/type",keyword:"type",params:{type: "string"},schema:schema37.properties.timeout.type,parentSchema:schema37.properties.timeout,data:data29};
if(vErrors === null){
vErrors = [err78];
}
else {
vErrors.push(err78);
}
errors++;
}
}
if(data22.grace !== undefined){
let data30 = data22.grace;
if(typeof data30 === "string"){
if(!pattern11.test(data30)){
const err79 = {instancePath:instancePath+"/health/grace",schemaPath:"#/$defs/health/properties/grace/pattern",keyword:"pattern",params:{pattern: "^[0-9]{1,8}(ms|s|m|h)$"},schema:"^[0-9]{1,8}(ms|s|m|h)$",parentSchema:schema37.properties.grace,data:data30};
if(vErrors === null){
vErrors = [err79];
}
else {
vErrors.push(err79);
}
errors++;
}
}
else {
const err80 = {instancePath:instancePath+"/health/grace",schemaPath:"#/$defs/health/properties/grace/type",keyword:"type",params:{type: "string"},schema:schema37.properties.grace.type,parentSchema:schema37.properties.grace,data:data30};
if(vErrors === null){
vErrors = [err80];
}
else {
vErrors.push(err80);
}
errors++;
}
}
}
else {
const err81 = {instancePath:instancePath+"/health",schemaPath:"#/$defs/health/type",keyword:"type",params:{type: "object"},schema:schema37.type,parentSchema:schema37,data:data22};
if(vErrors === null){
vErrors = [err81];
}
else {
vErrors.push(err81);
}
errors++;
}
}
if(data.preStart !== undefined){
let data31 = data.preStart;
if(Array.isArray(data31)){
if(data31.length > 33){
const err82 = {instancePath:instancePath+"/preStart",schemaPath:"#/properties/preStart/maxItems",keyword:"maxItems",params:{limit: 33},schema:33,parentSchema:schema34.properties.preStart,data:data31};
if(vErrors === null){
vErrors = [err82];
}
else {
vErrors.push(err82);
}
errors++;
}
const len5 = data31.length;
for(let i5=0; i5<len5; i5++){
let data32 = data31[i5];
if(typeof data32 === "string"){
if(data32.length > 400){
const err83 = {instancePath:instancePath+"/preStart/" + i5,schemaPath:"#/properties/preStart/items/maxLength",keyword:"maxLength",params:{limit: 400},schema:400,parentSchema:schema34.properties.preStart.items,data:data32};
if(vErrors === null){
vErrors = [err83];
}
else {
vErrors.push(err83);
}
errors++;
}
}
else {
const err84 = {instancePath:instancePath+"/preStart/" + i5,schemaPath:"#/properties/preStart/items/type",keyword:"type",params:{type: "string"},schema:schema34.properties.preStart.items.type,parentSchema:schema34.properties.preStart.items,data:data32};
if(vErrors === null){
vErrors = [err84];
}
else {
vErrors.push(err84);
}
errors++;
}
}
}
else {
const err85 = {instancePath:instancePath+"/preStart",schemaPath:"#/properties/preStart/type",keyword:"type",params:{type: "array"},schema:schema34.properties.preStart.type,parentSchema:schema34.properties.preStart,data:data31};
if(vErrors === null){
vErrors = [err85];
}
else {
vErrors.push(err85);
}
errors++;
}
}
if(data.memory !== undefined){
let data33 = data.memory;
if(((typeof data33 !== "string") && (!(((typeof data33 == "number") && (!(data33 % 1) && !isNaN(data33))) && (isFinite(data33))))) && (data33 !== null)){
const err86 = {instancePath:instancePath+"/memory",schemaPath:"#/properties/memory/type",keyword:"type",params:{type: schema34.properties.memory.type},schema:schema34.properties.memory.type,parentSchema:schema34.properties.memory,data:data33};
if(vErrors === null){
vErrors = [err86];
}
else {
vErrors.push(err86);
}
errors++;
}
if((typeof data33 == "number") && (isFinite(data33))){
if(data33 < 1048576 || isNaN(data33)){
const err87 = {instancePath:instancePath+"/memory",schemaPath:"#/properties/memory/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1048576},schema:1048576,parentSchema:schema34.properties.memory,data:data33};
if(vErrors === null){
vErrors = [err87];
}
else {
vErrors.push(err87);
}
errors++;
}
}
if(typeof data33 === "string"){
if(!pattern14.test(data33)){
const err88 = {instancePath:instancePath+"/memory",schemaPath:"#/properties/memory/pattern",keyword:"pattern",params:{pattern: "^[1-9][0-9]{0,7}[KMGT]$"},schema:"^[1-9][0-9]{0,7}[KMGT]$",parentSchema:schema34.properties.memory,data:data33};
if(vErrors === null){
vErrors = [err88];
}
else {
vErrors.push(err88);
}
errors++;
}
}
}
if(data.cpu !== undefined){
let data34 = data.cpu;
if((typeof data34 !== "string") && (data34 !== null)){
const err89 = {instancePath:instancePath+"/cpu",schemaPath:"#/properties/cpu/type",keyword:"type",params:{type: schema34.properties.cpu.type},schema:schema34.properties.cpu.type,parentSchema:schema34.properties.cpu,data:data34};
if(vErrors === null){
vErrors = [err89];
}
else {
vErrors.push(err89);
}
errors++;
}
if(typeof data34 === "string"){
if(!pattern15.test(data34)){
const err90 = {instancePath:instancePath+"/cpu",schemaPath:"#/properties/cpu/pattern",keyword:"pattern",params:{pattern: "^[1-9][0-9]{0,5}%$"},schema:"^[1-9][0-9]{0,5}%$",parentSchema:schema34.properties.cpu,data:data34};
if(vErrors === null){
vErrors = [err90];
}
else {
vErrors.push(err90);
}
errors++;
}
}
}
if(data.persona !== undefined){
let data35 = data.persona;
if(typeof data35 !== "string"){
const err91 = {instancePath:instancePath+"/persona",schemaPath:"#/properties/persona/type",keyword:"type",params:{type: "string"},schema:schema34.properties.persona.type,parentSchema:schema34.properties.persona,data:data35};
if(vErrors === null){
vErrors = [err91];
}
else {
vErrors.push(err91);
}
errors++;
}
if(!((((((((((data35 === "unknown") || (data35 === "voip")) || (data35 === "gaming")) || (data35 === "video")) || (data35 === "streaming")) || (data35 === "interactive")) || (data35 === "web")) || (data35 === "bulk")) || (data35 === "torrent")) || (data35 === "system"))){
const err92 = {instancePath:instancePath+"/persona",schemaPath:"#/properties/persona/enum",keyword:"enum",params:{allowedValues: schema34.properties.persona.enum},schema:schema34.properties.persona.enum,parentSchema:schema34.properties.persona,data:data35};
if(vErrors === null){
vErrors = [err92];
}
else {
vErrors.push(err92);
}
errors++;
}
}
if(data.jit !== undefined){
let data36 = data.jit;
if(typeof data36 !== "boolean"){
const err93 = {instancePath:instancePath+"/jit",schemaPath:"#/properties/jit/type",keyword:"type",params:{type: "boolean"},schema:schema34.properties.jit.type,parentSchema:schema34.properties.jit,data:data36};
if(vErrors === null){
vErrors = [err93];
}
else {
vErrors.push(err93);
}
errors++;
}
}
if(data.secrets !== undefined){
let data37 = data.secrets;
if(Array.isArray(data37)){
if(data37.length > 16){
const err94 = {instancePath:instancePath+"/secrets",schemaPath:"#/properties/secrets/maxItems",keyword:"maxItems",params:{limit: 16},schema:16,parentSchema:schema34.properties.secrets,data:data37};
if(vErrors === null){
vErrors = [err94];
}
else {
vErrors.push(err94);
}
errors++;
}
const len6 = data37.length;
for(let i6=0; i6<len6; i6++){
let data38 = data37[i6];
if(typeof data38 === "string"){
if(!pattern16.test(data38)){
const err95 = {instancePath:instancePath+"/secrets/" + i6,schemaPath:"#/$defs/secret/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},schema:"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",parentSchema:schema38,data:data38};
if(vErrors === null){
vErrors = [err95];
}
else {
vErrors.push(err95);
}
errors++;
}
}
else {
const err96 = {instancePath:instancePath+"/secrets/" + i6,schemaPath:"#/$defs/secret/type",keyword:"type",params:{type: "string"},schema:schema38.type,parentSchema:schema38,data:data38};
if(vErrors === null){
vErrors = [err96];
}
else {
vErrors.push(err96);
}
errors++;
}
}
}
else {
const err97 = {instancePath:instancePath+"/secrets",schemaPath:"#/properties/secrets/type",keyword:"type",params:{type: "array"},schema:schema34.properties.secrets.type,parentSchema:schema34.properties.secrets,data:data37};
if(vErrors === null){
vErrors = [err97];
}
else {
vErrors.push(err97);
}
errors++;
}
}
if(data.environmentFiles !== undefined){
let data39 = data.environmentFiles;
if(Array.isArray(data39)){
if(data39.length > 8){
const err98 = {instancePath:instancePath+"/environmentFiles",schemaPath:"#/properties/environmentFiles/maxItems",keyword:"maxItems",params:{limit: 8},schema:8,parentSchema:schema34.properties.environmentFiles,data:data39};
if(vErrors === null){
vErrors = [err98];
}
else {
vErrors.push(err98);
}
errors++;
}
const len7 = data39.length;
for(let i7=0; i7<len7; i7++){
let data40 = data39[i7];
if(typeof data40 === "string"){
if(!pattern16.test(data40)){
const err99 = {instancePath:instancePath+"/environmentFiles/" + i7,schemaPath:"#/$defs/secret/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},schema:"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",parentSchema:schema38,data:data40};
if(vErrors === null){
vErrors = [err99];
}
else {
vErrors.push(err99);
}
errors++;
}
}
else {
const err100 = {instancePath:instancePath+"/environmentFiles/" + i7,schemaPath:"#/$defs/secret/type",keyword:"type",params:{type: "string"},schema:schema38.type,parentSchema:schema38,data:data40};
if(vErrors === null){
vErrors = [err100];
}
else {
vErrors.push(err100);
}
errors++;
}
}
}
else {
const err101 = {instancePath:instancePath+"/environmentFiles",schemaPath:"#/properties/environmentFiles/type",keyword:"type",params:{type: "array"},schema:schema34.properties.environmentFiles.type,parentSchema:schema34.properties.environmentFiles,data:data39};
if(vErrors === null){
vErrors = [err101];
}
else {
vErrors.push(err101);
}
errors++;
}
}
if(data.restart !== undefined){
let data41 = data.restart;
if(typeof data41 !== "string"){
const err102 = {instancePath:instancePath+"/restart",schemaPath:"#/properties/restart/type",keyword:"type",params:{type: "string"},schema:schema34.properties.restart.type,parentSchema:schema34.properties.restart,data:data41};
if(vErrors === null){
vErrors = [err102];
}
else {
vErrors.push(err102);
}
errors++;
}
if(!((data41 === "always") || (data41 === "on-failure"))){
const err103 = {instancePath:instancePath+"/restart",schemaPath:"#/properties/restart/enum",keyword:"enum",params:{allowedValues: schema34.properties.restart.enum},schema:schema34.properties.restart.enum,parentSchema:schema34.properties.restart,data:data41};
if(vErrors === null){
vErrors = [err103];
}
else {
vErrors.push(err103);
}
errors++;
}
}
if(data.watchdog !== undefined){
let data42 = data.watchdog;
if((typeof data42 !== "string") && (data42 !== null)){
const err104 = {instancePath:instancePath+"/watchdog",schemaPath:"#/properties/watchdog/type",keyword:"type",params:{type: schema34.properties.watchdog.type},schema:schema34.properties.watchdog.type,parentSchema:schema34.properties.watchdog,data:data42};
if(vErrors === null){
vErrors = [err104];
}
else {
vErrors.push(err104);
}
errors++;
}
if(typeof data42 === "string"){
if(!pattern11.test(data42)){
const err105 = {instancePath:instancePath+"/watchdog",schemaPath:"#/properties/watchdog/pattern",keyword:"pattern",params:{pattern: "^[0-9]{1,8}(ms|s|m|h)$"},schema:"^[0-9]{1,8}(ms|s|m|h)$",parentSchema:schema34.properties.watchdog,data:data42};
if(vErrors === null){
vErrors = [err105];
}
else {
vErrors.push(err105);
}
errors++;
}
}
}
if(data.schedule !== undefined){
let data43 = data.schedule;
if(typeof data43 === "string"){
if(data43.length > 100){
const err106 = {instancePath:instancePath+"/schedule",schemaPath:"#/properties/schedule/maxLength",keyword:"maxLength",params:{limit: 100},schema:100,parentSchema:schema34.properties.schedule,data:data43};
if(vErrors === null){
vErrors = [err106];
}
else {
vErrors.push(err106);
}
errors++;
}
}
else {
const err107 = {instancePath:instancePath+"/schedule",schemaPath:"#/properties/schedule/type",keyword:"type",params:{type: "string"},schema:schema34.properties.schedule.type,parentSchema:schema34.properties.schedule,data:data43};
if(vErrors === null){
vErrors = [err107];
}
else {
vErrors.push(err107);
}
errors++;
}
}
if(data.socketActivated !== undefined){
let data44 = data.socketActivated;
if(typeof data44 !== "boolean"){
const err108 = {instancePath:instancePath+"/socketActivated",schemaPath:"#/properties/socketActivated/type",keyword:"type",params:{type: "boolean"},schema:schema34.properties.socketActivated.type,parentSchema:schema34.properties.socketActivated,data:data44};
if(vErrors === null){
vErrors = [err108];
}
else {
vErrors.push(err108);
}
errors++;
}
}
if(data.slice !== undefined){
let data45 = data.slice;
if(typeof data45 === "string"){
if(!pattern19.test(data45)){
const err109 = {instancePath:instancePath+"/slice",schemaPath:"#/properties/slice/pattern",keyword:"pattern",params:{pattern: "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"},schema:"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$",parentSchema:schema34.properties.slice,data:data45};
if(vErrors === null){
vErrors = [err109];
}
else {
vErrors.push(err109);
}
errors++;
}
}
else {
const err110 = {instancePath:instancePath+"/slice",schemaPath:"#/properties/slice/type",keyword:"type",params:{type: "string"},schema:schema34.properties.slice.type,parentSchema:schema34.properties.slice,data:data45};
if(vErrors === null){
vErrors = [err110];
}
else {
vErrors.push(err110);
}
errors++;
}
}
if(data.network !== undefined){
let data46 = data.network;
if(typeof data46 !== "string"){
const err111 = {instancePath:instancePath+"/network",schemaPath:"#/properties/network/type",keyword:"type",params:{type: "string"},schema:schema34.properties.network.type,parentSchema:schema34.properties.network,data:data46};
if(vErrors === null){
vErrors = [err111];
}
else {
vErrors.push(err111);
}
errors++;
}
if(!(((data46 === "any") || (data46 === "local")) || (data46 === "none"))){
const err112 = {instancePath:instancePath+"/network",schemaPath:"#/properties/network/enum",keyword:"enum",params:{allowedValues: schema34.properties.network.enum},schema:schema34.properties.network.enum,parentSchema:schema34.properties.network,data:data46};
if(vErrors === null){
vErrors = [err112];
}
else {
vErrors.push(err112);
}
errors++;
}
}
if(data.tasks !== undefined){
let data47 = data.tasks;
if(!(((typeof data47 == "number") && (!(data47 % 1) && !isNaN(data47))) && (isFinite(data47)))){
const err113 = {instancePath:instancePath+"/tasks",schemaPath:"#/properties/tasks/type",keyword:"type",params:{type: "integer"},schema:schema34.properties.tasks.type,parentSchema:schema34.properties.tasks,data:data47};
if(vErrors === null){
vErrors = [err113];
}
else {
vErrors.push(err113);
}
errors++;
}
if((typeof data47 == "number") && (isFinite(data47))){
if(data47 > 32768 || isNaN(data47)){
const err114 = {instancePath:instancePath+"/tasks",schemaPath:"#/properties/tasks/maximum",keyword:"maximum",params:{comparison: "<=", limit: 32768},schema:32768,parentSchema:schema34.properties.tasks,data:data47};
if(vErrors === null){
vErrors = [err114];
}
else {
vErrors.push(err114);
}
errors++;
}
if(data47 < 1 || isNaN(data47)){
const err115 = {instancePath:instancePath+"/tasks",schemaPath:"#/properties/tasks/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},schema:1,parentSchema:schema34.properties.tasks,data:data47};
if(vErrors === null){
vErrors = [err115];
}
else {
vErrors.push(err115);
}
errors++;
}
}
}
}
else {
const err116 = {instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},schema:schema34.type,parentSchema:schema34,data};
if(vErrors === null){
vErrors = [err116];
}
else {
vErrors.push(err116);
}
errors++;
}
validate22.errors = vErrors;
return errors === 0;
}
validate22.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate21(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate21.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(data && typeof data == "object" && !Array.isArray(data)){
if(data.services === undefined){
const err0 = {instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: "services"},schema:schema32.required,parentSchema:schema32,data};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
for(const key0 in data){
if(!((key0 === "$schema") || (key0 === "services"))){
const err1 = {instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},schema:false,parentSchema:schema32,data};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
}
}
if(data.$schema !== undefined){
let data0 = data.$schema;
if(typeof data0 !== "string"){
const err2 = {instancePath:instancePath+"/$schema",schemaPath:"#/$defs/schemaReference/type",keyword:"type",params:{type: "string"},schema:schema33.type,parentSchema:schema33,data:data0};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
}
if(data.services !== undefined){
let data1 = data.services;
if(Array.isArray(data1)){
if(data1.length > 64){
const err3 = {instancePath:instancePath+"/services",schemaPath:"#/properties/services/maxItems",keyword:"maxItems",params:{limit: 64},schema:64,parentSchema:schema32.properties.services,data:data1};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
if(data1.length < 1){
const err4 = {instancePath:instancePath+"/services",schemaPath:"#/properties/services/minItems",keyword:"minItems",params:{limit: 1},schema:1,parentSchema:schema32.properties.services,data:data1};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
const len0 = data1.length;
for(let i0=0; i0<len0; i0++){
if(!(validate22(data1[i0], {instancePath:instancePath+"/services/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate22.errors : vErrors.concat(validate22.errors);
errors = vErrors.length;
}
}
}
else {
const err5 = {instancePath:instancePath+"/services",schemaPath:"#/properties/services/type",keyword:"type",params:{type: "array"},schema:schema32.properties.services.type,parentSchema:schema32.properties.services,data:data1};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
}
else {
const err6 = {instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},schema:schema32.type,parentSchema:schema32,data};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
validate21.errors = vErrors;
return errors === 0;
}
validate21.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate20(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="urn:myco:manifest" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate20.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(!(data && typeof data == "object" && !Array.isArray(data))){
const err0 = {instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},schema:schema31.type,parentSchema:schema31,data};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
const _errs1 = errors;
let valid0 = true;
const _errs2 = errors;
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((data.services === undefined) && (missing0 = "services")){
const err1 = {};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
}
}
var _valid0 = _errs2 === errors;
errors = _errs1;
if(vErrors !== null){
if(_errs1){
vErrors.length = _errs1;
}
else {
vErrors = null;
}
}
let ifClause0;
if(_valid0){
const _errs3 = errors;
if(!(validate21(data, {instancePath,parentData,parentDataProperty,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate21.errors : vErrors.concat(validate21.errors);
errors = vErrors.length;
}
var _valid0 = _errs3 === errors;
valid0 = _valid0;
if(valid0){
var props0 = true;
}
ifClause0 = "then";
}
else {
const _errs4 = errors;
if(!(validate22(data, {instancePath,parentData,parentDataProperty,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate22.errors : vErrors.concat(validate22.errors);
errors = vErrors.length;
}
var _valid0 = _errs4 === errors;
valid0 = _valid0;
if(valid0){
if(props0 !== true){
props0 = true;
}
}
ifClause0 = "else";
}
if(!valid0){
const err2 = {instancePath,schemaPath:"#/if",keyword:"if",params:{failingKeyword: ifClause0},schema:schema31.if,parentSchema:schema31,data};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
validate20.errors = vErrors;
evaluated0.props = props0;
return errors === 0;
}
validate20.evaluated = {"dynamicProps":true,"dynamicItems":false};
