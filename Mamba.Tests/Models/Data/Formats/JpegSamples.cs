namespace Mamba.Tests.Models;

/// <summary>
/// JPEG files of kinds that JpegLibrary does not write: a smooth picture of 21 x 19, written by libjpeg-turbo's cjpeg at quality 70.
/// </summary>
internal static class JpegSamples
{
    /// <summary>Progressive, colors at half resolution each way.</summary>
    public static byte[] Progressive { get; } = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoL" +
        "Cw4NDhwQEBw7KCIoOzs7Oz" +
        "s7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wgARCAATABUDASIAAhEBAxEB/8QAFwABAQEBAAAAAAAAAAAAAAAAAAUDBv/EABgBAA" +
        "IDAAAAAAAAAAAAAAAAAAIE" +
        "AQMF/9oADAMBAAIQAxAAAAGnzVHMJ3bml4PSlJTwWn//xAAcEAACAgMBAQAAAAAAAAAAAAABAwIRABIiMjP/2gAIAQEAAQUClUYNJM0Q4Y68gnY3pg+iRw/3/8QAGhEA" +
        "AgMBAQAAAAAAAAAAAAAAAQ" +
        "IAAxIQM//aAAgBAwEBPwGltDDRqGBh9uf/xAAcEQADAAEFAAAAAAAAAAAAAAAAAQIDBBEhMTL/2gAIAQIBAT8BTeG9h4Zrk1XSI8n/xAAXEAADAQAAAAAAAAAAAAAAAA" +
        "AAEBEg/9oACAEBAAY/AnCk" +
        "x//EABkQAQEBAAMAAAAAAAAAAAAAAAEAQREhMf/aAAgBAQABPyGnhZabUvKQDEvaLEmf/9oADAMBAAIAAwAAABCLH0H/xAAYEQEBAQEBAAAAAAAAAAAAAAABACERMf/a" +
        "AAgBAwEBPxA19pIFnFy//8" +
        "QAGBEAAwEBAAAAAAAAAAAAAAAAAAERMUH/2gAIAQIBAT8QsWMZR03DuD//xAAaEAADAQEBAQAAAAAAAAAAAAAAAREhMUFh/9oACAEBAAE/EObLB4Y5RbpNL2vwMpr0QO" +
        "TYLpLcWC0pw//Z");

    /// <summary>Progressive, all components at full resolution, restart markers.</summary>
    public static byte[] ProgressiveFull { get; } = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoL" +
        "Cw4NDhwQEBw7KCIoOzs7Oz" +
        "s7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wgARCAATABUDAREAAhEBAxEB/8QAGQAAAgMBAAAAAAAAAAAAAAAAAgUAAwYE/8QAGA" +
        "EAAwEBAAAAAAAAAAAAAAAA" +
        "AgQFAQP/3QAEAAL/2gAMAwEAAhADEAAAAWamZqkz/9AjSAS//9Gpbv3Vef8A/9JU2GllB//Tmvf/xAAcEAACAgMBAQAAAAAAAAAAAAABAwIRABIiMjP/2gAIAQEAAQUC" +
        "lUYNJM//0EQ4Y68//9GCdj" +
        "emf//SH0SOP//Tf7//xAAbEQACAgMBAAAAAAAAAAAAAAAAAQIDBBIhQf/aAAgBAwEBPwGi3wthsj//0GnFnYSP/9GmeyLKun//0shFD6f/0z//xAAcEQADAQACAwAAAA" +
        "AAAAAAAAAAAQMCERIiMTL/" +
        "2gAIAQIBAT8Bfholvsj/0KS5ZeZ//9Ge+rMtaR//0n8lPZ//05N8H//EABYQAQEBAAAAAAAAAAAAAAAAAAAREP/aAAgBAQAGPwLP/9BH/9Go/9LP/9N//8QAGRABAQEA" +
        "AwAAAAAAAAAAAAAAAQBBES" +
        "Ex/9oACAEBAAE/IaeFl//Q02pf/9HykAz/0kvaLF//00z/2gAMAwEAAgADAAAAEOP/0Kv/0WP/0tP/0x//xAAXEQEBAQEAAAAAAAAAAAAAAAABABFB/9oACAEDAQE/EO" +
        "yPcv/QYEkP/9EcW32X/9It" +
        "mJ//080Nv//EABcRAQEBAQAAAAAAAAAAAAAAAAEAESH/2gAIAQIBAT8QDB4N/9A9S3NL/9Fs21F//9I71EOb/9On/8QAGhAAAwEBAQEAAAAAAAAAAAAAAAERITFBYf/a" +
        "AAgBAQABPxDmyweGOU//0F" +
        "uk0va/B//RZTXogcn/0tguktxYf//TWlOH/9k=");

    /// <summary>Progressive, gray.</summary>
    public static byte[] ProgressiveGray { get; } = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/wgALCAAT" +
        "ABUBAREA/8QAGAABAAMBAA" +
        "AAAAAAAAAAAAAABQIDBgT/2gAIAQEAAAABTzSkK+4HSn//xAAcEAACAgMBAQAAAAAAAAAAAAABAwIRABIiMjP/2gAIAQEAAQUClUYNJM0Q4Y68gnY3pg+iRw/3/8QAFx" +
        "AAAwEAAAAAAAAAAAAAAAAA" +
        "ABARIP/aAAgBAQAGPwJwpMf/xAAZEAEBAQADAAAAAAAAAAAAAAABAEERITH/2gAIAQEAAT8hp4WWm1LykAxL2ixJn//aAAgBAQAAABCjf//EABoQAAMBAQEBAAAAAAAA" +
        "AAAAAAABESExQWH/2gAIAQ" +
        "EAAT8Q5ssHhjlFuk0va/AymvRA5NguktxYLSnD/9k=");

    /// <summary>Sequential, colors at half resolution across, restart markers.</summary>
    public static byte[] Restarts { get; } = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoL" +
        "Cw4NDhwQEBw7KCIoOzs7Oz" +
        "s7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAATABUDASEAAhEBAxEB/8QAGgAAAQUBAAAAAAAAAAAAAAAAAAIDBAYHBf/EAC" +
        "IQAAEEAgIBBQAAAAAAAAAA" +
        "AAEAAgQRAwUTIRIUIjFBYf/EABgBAAMBAQAAAAAAAAAAAAAAAAIDBQEE/8QAHhEAAgICAwEBAAAAAAAAAAAAAQIAAwQTBRESISL/3QAEAAH/2gAMAwEAAhEDEQA/ALPL" +
        "4o8DqrpZptc+TNOLWk1aXx" +
        "z67TWY/HO/FKmf/9B3RQgYNuHaEV2J25MiN6UlZ//RTsd3yk4g78UeDpzKycpbf2kZS6MkMIvjX12msz//0uk3I2C0YvhCtKVZQZt2H3YTP//Tq2JznbD3G+1pWkxs9E" +
        "D4i6RcqB5Uzmf85nyf/9Q3" +
        "r3CbQNIT6GbWJc6Bn//Z");

    /// <summary>Sequential, colors at a quarter of the resolution across.</summary>
    public static byte[] Quarter { get; } = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoL" +
        "Cw4NDhwQEBw7KCIoOzs7Oz" +
        "s7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAATABUDAUEAAhEBAxEB/8QAGQAAAgMBAAAAAAAAAAAAAAAAAAYDBAcF/8QAIh" +
        "AAAQQCAgEFAAAAAAAAAAAA" +
        "AQACBBEDBRMhEhQiMUFh/8QAFgEBAQEAAAAAAAAAAAAAAAAABAED/8QAHhEAAgICAgMAAAAAAAAAAAAAAQMABAJRERMhQWH/2gAMAwEAAhEDEQA/AGeXxR4HVXSzTa58" +
        "macWtJq006KEDBtw7Qotfb" +
        "WGOiYW6SVrYPYkGx3fKTiDvxV4OnMrJylt/a7jcjYLRi+EJdPjFrFncStfbWGOiYiYnOdsPcb7WlaTGz0QPiLpL29e4TaBpCxJ4tZ8aEXQHlg+z//Z");

    /// <summary>Sequential, red, green and blue, as Adobe's segment says.</summary>
    public static byte[] Rgb { get; } = Convert.FromBase64String(
        "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAKBwcIBwYKCAgICwoKCw4YEA4NDQ4dFRYRGCMfJSQiHyIhJis3LyYpNCkhIjBBMTQ5Oz4+PiUuRElDPEg3PT47/8AAEQgAEwAV" +
        "A1IRAEcRAEIRAP/EABoAAA" +
        "IDAQEAAAAAAAAAAAAAAAYHAgQFAQP/xAAoEAABBAIBAwQBBQAAAAAAAAABAAIDEQQFBhITISIxQWEVM0JRcaH/2gAMA1IARwBCAAA/ACXUbWPGwRG4gGkX7vFhj1hc0C" +
        "+ld2DPwYJHppBvLcd2ylLo" +
        "xd/wk5n5czdp0gmupUsTdnZydkuu/CztTrpMbHc1wPkpk8aiZLrA5/v4W7HxVszBJ0e/0obTcyYmaYmuIF0q+RyFubF2A6/hUudEZLXdr/EWcYxhtYw54u1hycbdPN3+" +
        "j7QnxjHlhzw54NWr+z1bMW" +
        "cMaALC1cXPGti7BNUnJhZsDcRgJF0lnv2g7Q2P3IM00sjtkAXEi0BvJn/V9X9ph8DJbA2vHhN3BhjOsssF9Kg2GOM2xgafpa+9cTlNs/CXXI3OZsSGmh5XsMqcChI4Bf" +
        "/Z");

    public static IEnumerable<byte[]> All => [Progressive, ProgressiveFull, ProgressiveGray, Restarts, Quarter, Rgb];
}
